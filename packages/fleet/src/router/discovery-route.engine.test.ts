import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { TestEngine } from '../../../../testing/engine.ts';
import { waitFor } from '../../../../testing/wait-for.ts';
import { MetaClient } from '../../../cache/src/memcached/meta-client.ts';
import type { DiscoveryRoute } from './route-table.ts';
import { type RouterLab, routerLab } from './router.test-support.ts';
import { createRouter, type Router } from './router.ts';

let lab: RouterLab;
let engines: readonly TestEngine[];
beforeAll(async () => {
  lab = await routerLab();
  engines = await Promise.all([lab.engine('memcached'), lab.engine('memcached')]);
});
afterAll(() => lab.close());

let router: Router;
afterEach(() => router.close());

async function serve(nodes: readonly TestEngine[], change: Partial<DiscoveryRoute> = {}) {
  router = await createRouter({
    directory: await mkdtemp(join(lab.directory, 'router-')),
    lookupSecret: () => undefined,
    nowMs: Date.now,
    onProblem: () => {},
  });
  const listen = lab.listen(11211);
  const routeTo = (configVersion: number, to: readonly TestEngine[]): DiscoveryRoute => ({
    kind: 'discovery',
    listen,
    configVersion,
    nodes: to.map(({ host, port }, index) => ({ host: `shop.000${to.length - index}.test`, ip: host, port })),
    targets: to.map(({ host, port }) => ({ address: host, port })),
    ...change,
  });
  await router.put('shop', 1, [routeTo(12, nodes)]);
  return {
    listen,
    put: (epoch: number, configVersion: number, to: readonly TestEngine[]) =>
      router.put('shop', epoch, [routeTo(configVersion, to)]),
  };
}

/** The answer's bytes, put together here from what AWS documents. */
function expected(version: number, list: string, name = 'CONFIG cluster'): string {
  const text = `${version}\n${list}\n`;
  return `${name} 0 ${text.length}\r\n${text}\r\nEND\r\n`;
}

const listOf = ([one, two]: readonly TestEngine[]) =>
  `shop.0001.test|${two!.host}|11211 shop.0002.test|${one!.host}|11211`;

test('both questions are answered, sorted by host; everything else is the first node’s to answer', async () => {
  const { listen } = await serve(engines);
  const talk = await lab.talk(listen);
  talk.send('config get cluster\r\n');
  expect(await talk.until('END\r\n')).toBe(expected(12, listOf(engines)));
  talk.send('version\r\n');
  expect(await talk.until('\r\n')).toMatch(/^VERSION 1\.6\./);
  talk.send('get AmazonElastiCache:cluster\r\n');
  expect(await talk.until('END\r\n')).toBe(expected(12, listOf(engines), 'VALUE AmazonElastiCache:cluster'));
  expect(router.stats()).toMatchObject([{ kind: 'discovery', configGets: 2, connections: 1 }]);
  talk.send('set discovered 0 0 5\r\nvalue\r\n');
  await talk.until('STORED\r\n');
  const direct = await lab.talk({ address: engines[0]!.host, port: 11211 });
  direct.send('get discovered\r\n');
  await direct.until('value\r\nEND\r\n');
});

test('answers stand in the order of what was asked, whatever was sent ahead', async () => {
  const { listen } = await serve(engines);
  const talk = await lab.talk(listen);
  const answer = expected(12, listOf(engines));
  const value = 'x'.repeat(900_000);
  talk.send(
    `set large 0 0 ${value.length}\r\n${value}\r\nget large\r\nconfig get cluster\r\n` +
      'get nothing\r\nconfig get cluster\r\nconfig get cluster\r\nmn\r\n',
  );
  const seen = await talk.until('MN\r\n');
  expect(seen).toBe(
    `STORED\r\nVALUE large 0 ${value.length}\r\n${value}\r\nEND\r\n${answer}END\r\n${answer}${answer}MN\r\n`,
  );
  // A value that looks like the question is a value.
  talk.send('set odd 0 0 20\r\nconfig get cluster\r\n\r\nget odd\r\n');
  await talk.until('STORED\r\nVALUE odd 0 20\r\nconfig get cluster\r\n\r\nEND\r\n');
  talk.send('quit\r\n');
  await talk.end();
});

test('the node list changes under connections that live on; those to a node that left are closed', async () => {
  const { listen, put } = await serve(engines);
  const asking = await lab.talk(listen);
  const using = await lab.talk(listen);
  using.send('mn\r\n');
  await using.until('MN\r\n');
  await put(2, 13, engines.slice(1));
  await using.end();
  asking.send('config get cluster\r\n');
  expect(await asking.until('END\r\n')).toBe(expected(13, `shop.0001.test|${engines[1]!.host}|11211`));
  asking.send('mn\r\n');
  await asking.until('MN\r\n');
});

test('the next node takes over when the first is gone', async () => {
  const first = await lab.engine('memcached');
  const { listen } = await serve([first, engines[1]!]);
  await first.kill();
  const talk = await lab.talk(listen);
  talk.send('mn\r\nconfig get cluster\r\n');
  await talk.until(`MN\r\n${expected(12, listOf([first, engines[1]!]))}`);
});

test('without a living node the list is answered still', async () => {
  const { listen } = await serve([]);
  const talk = await lab.talk(listen);
  talk.send('config get cluster\r\n');
  expect(await talk.until('END\r\n')).toBe(expected(12, ''));
  talk.send('mn\r\n');
  await talk.end();
});

test('with TLS on both sides, the node’s certificate checked', async () => {
  // Memcached must have a certificate before its address is known: the first one is for another.
  const files = await lab.issue('memcached', '127.0.0.1');
  const names = `ssl_chain_cert=${files.certificateFile},ssl_key=${files.keyFile}`;
  const node = await lab.engine('memcached', ['-Z', '-o', names]);
  const listen = lab.listen(11211);
  await serve([], {
    listen,
    certificate: await lab.issue('discovery', listen.address),
    nodes: [{ host: node.host, ip: '', port: 11211 }],
    targets: [{ address: node.host, port: 11211, caFile: lab.caFile }],
  });
  const refused = await lab.talk(listen, true);
  refused.send('config get cluster\r\n');
  expect(await refused.until('END\r\n')).toBe(expected(12, `${node.host}||11211`));
  refused.send('mn\r\n');
  await refused.end();

  await lab.issue('memcached', node.host);
  const admin = connect({ host: node.host, port: 11211, rejectUnauthorized: false });
  admin.write('refresh_certs\r\n');
  await new Promise((resolve) => admin.once('data', resolve));
  admin.destroy();
  const talk = await lab.talk(listen, true);
  talk.send('mn\r\nconfig get cluster\r\n');
  await talk.until(`MN\r\n${expected(12, `${node.host}||11211`)}`);
});

test('the library’s own client follows it', async () => {
  const { listen, put } = await serve(engines);
  const client = new MetaClient({
    configurationEndpoint: { host: listen.address, port: listen.port },
    discoveryMs: 100,
  });
  try {
    await waitFor(
      () => client.nodes.length,
      (count) => count === 2,
      { what: 'two nodes' },
    );
    await put(2, 13, engines.slice(1));
    await waitFor(
      () => client.nodes.length,
      (count) => count === 1,
      { what: 'one node' },
    );
  } finally {
    client.close();
  }
});
