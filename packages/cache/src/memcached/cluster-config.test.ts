import { expect, test } from 'vitest';
import { parseClusterConfig } from './cluster-config.ts';
import { MetaProtocolError } from './errors.ts';

test('a node list is a version and nodes', () => {
  expect(parseClusterConfig('12\na.example|10.0.0.1|11211 b.example||11212\n')).toEqual({
    version: 12,
    nodes: [
      { host: 'a.example', ip: '10.0.0.1', port: 11_211 },
      { host: 'b.example', ip: '', port: 11_212 },
    ],
  });
  expect(parseClusterConfig('1\r\n|10.0.0.1|11211\r\n\r\n').nodes[0]!.host).toBe('10.0.0.1');
});

test.each([
  '',
  'x\na|1.2.3.4|1\n',
  '1\n\n',
  '1\na|1.2.3.4\n',
  '1\na|1.2.3.4|0\n',
  '1\na|1.2.3.4|65536\n',
  '1\na|1.2.3.4|1|2\n',
  '1\na/b|1.2.3.4|1\n',
  '1\na|nowhere|1\n',
  '1\n||1\n',
  '1\na||1 a||1\n',
  '1\na||1\nb||1\n',
  `1\n${Array.from({ length: 301 }, (_, n) => `h${n}||1`).join(' ')}\n`,
])('refuses %j', (text) => {
  expect(() => parseClusterConfig(text)).toThrow(MetaProtocolError);
});
