import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type EngineSettings, engineArguments, engineMark, renderConfigFile } from './config-file.ts';

const settings: EngineSettings = {
  engine: 'valkey',
  address: '127.64.0.3',
  port: 6379,
  plainPort: 6379,
  tlsPort: 0,
  busEncrypted: false,
  endpointAddresses: [],
  maxmemoryBytes: 536_870_912,
  maxConnections: 65_000,
  clusterEnabled: false,
  forming: false,
  encryptedAtRest: true,
  parameters: {},
  users: [],
};

function directives(text: string): Map<string, string> {
  const lines = text.trimEnd().split('\n');
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]));
}

/** The engine's own reading of a double-quoted word: escapes as its config parser takes them. */
function unquote(word: string): string {
  const bytes: number[] = [];
  for (let index = 1; index < word.length - 1; index += 1) {
    if (word[index] !== '\\') bytes.push(word.charCodeAt(index));
    else if (word[index + 1] === 'x') {
      bytes.push(Number.parseInt(word.slice(index + 2, index + 4), 16));
      index += 3;
    } else {
      index += 1;
      bytes.push(word.charCodeAt(index));
    }
  }
  return Buffer.from(bytes).toString('utf8');
}

describe('the configuration file', () => {
  test('a node listens on its own address first, and on the endpoints it holds', () => {
    const text = renderConfigFile(
      { ...settings, endpointAddresses: ['127.64.0.1', '127.64.0.2'] },
      '9.1.2',
      '/d',
    );
    expect(directives(text).get('bind')).toBe('127.64.0.3 127.64.0.1 127.64.0.2');
    expect(directives(text).get('bind-source-addr')).toBe('127.64.0.3');
  });

  test('nothing is kept on disk: a crashed primary must not come back with old data', () => {
    const found = directives(renderConfigFile(settings, '9.1.2', '/d'));
    expect([found.get('save'), found.get('appendonly')]).toEqual(['""', 'no']);
    expect(found.get('rdb-del-sync-files')).toBe('yes');
  });

  test('a replica is one from its first moment, but not by directive in cluster mode', () => {
    const replicaOf = { address: '127.64.0.9', port: 6379 };
    expect(directives(renderConfigFile({ ...settings, replicaOf }, '9.1.2', '/d')).get('replicaof')).toBe(
      '127.64.0.9 6379',
    );
    const clustered = directives(
      renderConfigFile({ ...settings, replicaOf, clusterEnabled: true }, '9.1.2', '/d'),
    );
    expect(clustered.has('replicaof')).toBe(false);
    expect(clustered.get('cluster-port')).toBe('16379');
  });

  test('any folder is one quoted word in one line, and reads back as itself', () => {
    const hostile = ['/a b', '/"', '/\\', '/x\nrequirepass y', '/\r\n\0', '/ü/日本', "/'", '/$(id)', '/#'];
    const folder = fc.oneof(
      fc.constantFrom(...hostile),
      fc.string({ unit: 'grapheme' }).map((each) => `/${each}`),
    );
    const expected = renderConfigFile(settings, '9.1.2', '/d').split('\n').length;
    fc.assert(
      fc.property(folder, (each) => {
        const text = renderConfigFile(settings, '9.1.2', each);
        expect(text.split('\n')).toHaveLength(expected);
        const word = directives(text).get('dir')!;
        expect(word).toMatch(/^"[\x20-\x7e]*"$/);
        expect(unquote(word)).toBe(each);
      }),
    );
  });
});

describe('the arguments', () => {
  const limits = { asRoot: false, openFiles: 1_024 };

  test.each(['valkey', 'redis', 'memcached'] as const)('%s can be found by its mark', (engine) => {
    const args = engineArguments({ ...settings, engine }, '/d/nodes/a.0001', limits);
    expect(args).toContain(engineMark('/d/nodes/a.0001', engine));
  });

  test('Memcached gets no more connections than files, and leaves root', () => {
    const memcached = { ...settings, engine: 'memcached' as const, port: 11211 };
    const value = (args: string[], flag: string) => args[args.indexOf(flag) + 1];
    const few = engineArguments(memcached, '/d', limits);
    expect(Number(value(few, '-c'))).toBe(824);
    expect(few).not.toContain('-u');
    const many = engineArguments(memcached, '/d', { asRoot: true, openFiles: 1_000_000 });
    expect([value(many, '-c'), value(many, '-u'), value(many, '-m')]).toEqual(['65000', 'nobody', '512']);
  });
});
