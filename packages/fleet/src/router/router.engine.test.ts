import { statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { TestEngine } from '../../../../testing/engine.ts';
import { waitFor } from '../../../../testing/wait-for.ts';
import { StaleOrder } from '../host.ts';
import {
  type EitherRoute,
  type Route,
  RouteTableInvalid,
  type SpreadRoute,
  type Target,
} from './route-table.ts';
import { engineTlsPort, type RouterLab, routerLab } from './router.test-support.ts';
import { createRouter, ListenFailed, type Router } from './router.ts';

let lab: RouterLab;
let one: TestEngine;
let two: TestEngine;
beforeAll(async () => {
  lab = await routerLab();
  [one, two] = await Promise.all([lab.secureEngine('valkey'), lab.secureEngine('redis')]);
});
afterAll(() => lab.close());

const routers: Router[] = [];
const problems: string[] = [];
afterEach(async () => {
  for (const router of routers.splice(0)) await router.close();
  problems.length = 0;
});

async function open(directory?: string): Promise<Router> {
  const router = await createRouter({
    directory: directory ?? (await mkdtemp(join(lab.directory, 'router-'))),
    lookupSecret: () => undefined,
    nowMs: Date.now,
    onProblem: (error) => problems.push(error.message),
  });
  routers.push(router);
  return router;
}

const plainOf = ({ host, port }: TestEngine): Target => ({ address: host, port });
const tlsOf = ({ host }: TestEngine): Target => ({ address: host, port: engineTlsPort });
const either = (listen: Target, engine: TestEngine): EitherRoute => ({
  kind: 'either',
  listen,
  plain: plainOf(engine),
  tls: tlsOf(engine),
});
const spread = (listen: Target, ...engines: TestEngine[]): SpreadRoute => ({
  kind: 'spread',
  listen,
  targets: engines.map(plainOf),
});

async function refuses(at: Target): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(at.port, at.address, () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}

/** PING over and over; tells whether the connection is still the same. */
async function pinging(at: Target) {
  const talk = await lab.talk(at);
  return {
    talk,
    async lives() {
      talk.send('PING\r\n');
      await talk.until('+PONG\r\n');
    },
  };
}

describe('either', () => {
  test.each(['valkey', 'redis'])('200 clients of both kinds at once, on %s', async (name) => {
    const engine = name === 'valkey' ? one : two;
    const router = await open();
    const listen = lab.listen();
    // The engine's certificate is shown, not one of the router's: by the engine's address it is checked.
    await router.put('shop', 1, [either(listen, engine)]);
    const tls = { ca: lab.authority.certificatePem, checkServerIdentity: () => undefined };
    const clients = Array.from({ length: 200 }, (_, n) => lab.redis(listen, n % 2 === 0 ? {} : { tls }));
    await Promise.all(
      clients.map(async (client, n) => {
        const value = `${n}:`.repeat(5_000);
        await client.set(`either:${n}`, value);
        expect(await client.get(`either:${n}`)).toBe(value);
        const many = Array.from({ length: 20 }, (_, index) => client.incrby(`either:count:${n}`, index));
        expect((await Promise.all(many)).at(-1)).toBe(190);
      }),
    );
    expect(router.stats()).toMatchObject([
      { owner: 'shop', kind: 'either', connections: 200, totalConnections: 200 },
    ]);
    const direct = lab.redis(tlsOf(engine), { tls: { ca: lab.authority.certificatePem } });
    expect(await direct.get('either:count:7')).toBe('190');
    for (const client of clients) client.disconnect();
    await waitFor(
      () => router.stats()[0]!.connections,
      (open) => open === 0,
      { what: 'no connections' },
    );
    await direct.flushall();
  });

  test('large values and many commands ahead of their answers', async () => {
    const router = await open();
    const listen = lab.listen();
    await router.put('shop', 1, [either(listen, one)]);
    const client = lab.redis(listen);
    const value = Buffer.alloc(8 * 2 ** 20, 'x');
    await client.set('large', value);
    const answers = await Promise.all(Array.from({ length: 10 }, () => client.getBuffer('large')));
    expect(answers.every((answer) => answer!.equals(value))).toBe(true);
    await client.del('large');
  });

  test('a client that ends its side gets its answers first', async () => {
    const router = await open();
    const listen = lab.listen();
    await router.put('shop', 1, [either(listen, one)]);
    const talk = await lab.talk(listen);
    talk.send('PING\r\n');
    await talk.until('+PONG\r\n');
    talk.socket.end();
    await talk.end();
    await waitFor(
      () => router.stats()[0]!.connections,
      (open) => open === 0,
      { what: 'no connections' },
    );
  });

  test('an engine that is gone closes its clients, and a new one is not kept waiting', async () => {
    const router = await open();
    const listen = lab.listen();
    const engine = await lab.engine('valkey');
    await router.put('shop', 1, [either(listen, engine)]);
    const client = await pinging(listen);
    await client.lives();
    await engine.kill();
    await client.talk.end();
    const late = await lab.talk(listen);
    late.send('PING\r\n');
    await late.end();
  });
});

describe('spread', () => {
  test('goes in turn, past those that are gone, and to the fallback when all are', async () => {
    const router = await open();
    const listen = lab.listen();
    const engines = await Promise.all([lab.engine('valkey'), lab.engine('valkey'), lab.engine('valkey')]);
    const [first, second, last] = engines as [TestEngine, TestEngine, TestEngine];
    for (const [index, engine] of engines.entries()) {
      await lab.redis(plainOf(engine)).set('name', String(index));
    }
    await router.put('shop', 1, [{ ...spread(listen, first, second), fallback: plainOf(last) }]);
    const names = async () => {
      const seen: (string | null)[] = [];
      for (let n = 0; n < 4; n += 1) seen.push(await lab.redis(listen).get('name'));
      return seen.sort().join('');
    };
    expect(await names()).toBe('0011');
    await first.kill();
    expect(await names()).toBe('1111');
    await second.kill();
    expect(await names()).toBe('2222');
  });
});

test('either kind of client goes in turn over several nodes, past those that are gone', async () => {
  const router = await open();
  const listen = lab.listen();
  const [first, second] = await Promise.all([lab.secureEngine('valkey'), lab.secureEngine('valkey')]);
  for (const [index, engine] of [first, second].entries()) {
    await lab.redis(plainOf(engine)).set('name', String(index));
  }
  const more = [{ plain: plainOf(second), tls: tlsOf(second) }];
  await router.put('shop', 1, [{ ...either(listen, first), more }]);
  const names = async (tls: boolean) => {
    const seen: (string | null)[] = [];
    for (let n = 0; n < 4; n += 1) {
      const options = tls
        ? { tls: { ca: lab.authority.certificatePem, checkServerIdentity: () => undefined } }
        : {};
      seen.push(await lab.redis(listen, options).get('name'));
    }
    return seen.sort().join('');
  };
  expect([await names(false), await names(true)]).toEqual(['0011', '0011']);
  await first.kill();
  expect([await names(false), await names(true)]).toEqual(['1111', '1111']);
});

describe('tables', () => {
  test('a listener that stays keeps its connections, one whose target changed keeps those to targets it still has', async () => {
    const router = await open();
    const [kept, moved, gone] = [lab.listen(), lab.listen(), lab.listen()];
    await router.put('shop', 1, [either(kept, one), spread(moved, one, two), either(gone, one)]);
    const onKept = await pinging(kept);
    const [toOne, toTwo] = [await pinging(moved), await pinging(moved)];
    const onGone = await pinging(gone);
    for (const each of [onKept, toOne, toTwo, onGone]) await each.lives();

    const added = lab.listen();
    await router.put('shop', 2, [either(kept, one), spread(moved, one), either(added, two)]);
    await onKept.lives();
    await toOne.lives();
    await toTwo.talk.end();
    await onGone.talk.end();
    expect(await refuses(gone)).toBe(true);
    await (await pinging(added)).lives();

    // Another kind at the same address: what was carried by the old one ends.
    await router.put('shop', 3, [spread(kept, one)]);
    await onKept.talk.end();
    await (await pinging(kept)).lives();
    expect(await refuses(moved)).toBe(true);
    await router.put('shop', 3, []);
    expect(await refuses(kept)).toBe(true);
    expect(router.bound().size).toBe(0);
  });

  test('an order from the past is refused, after a restart too', async () => {
    const directory = await mkdtemp(join(lab.directory, 'router-'));
    const router = await open(directory);
    const listen = lab.listen();
    await router.put('shop', 7, [either(listen, one)]);
    await expect(router.put('shop', 6, [])).rejects.toThrow(StaleOrder);
    await router.put('shop', 8, []);
    await router.put('other', 1, [either(listen, one)]);
    await router.close();
    const next = await open(directory);
    await expect(next.put('shop', 7, [])).rejects.toThrow(StaleOrder);
    expect([...next.bound().keys()]).toEqual(['other']);
  });

  test('all or nothing: an address that is taken is named, and nothing has changed', async () => {
    const router = await open();
    const [listen, free] = [lab.listen(), lab.listen()];
    const route = either(listen, one);
    await router.put('shop', 1, [route]);
    const client = await pinging(listen);
    const taken = plainOf(one);
    const attempt = router.put('shop', 2, [either(free, two), spread(taken, two)]);
    await expect(attempt).rejects.toThrow(ListenFailed);
    await expect(attempt).rejects.toThrow(`${taken.address}:${taken.port}`);
    await client.lives();
    expect(await refuses(free)).toBe(true);
    expect(router.bound().get('shop')).toEqual({ epoch: 1, routes: [route] });
    await expect(router.put('other', 1, [spread(listen, two)])).rejects.toThrow('is served for shop already');
    const missing = { certificateFile: '/nowhere/cert.pem', keyFile: '/nowhere/cert.key' };
    const withTls: Route = {
      kind: 'discovery',
      listen: lab.listen(11211),
      certificate: missing,
      configVersion: 1,
      nodes: [],
      targets: [],
    };
    await expect(router.put('shop', 2, [either(free, two), withTls])).rejects.toThrow('/nowhere/cert.');
    expect(await refuses(free)).toBe(true);
    await client.lives();
  });

  test('a restarted router serves the same before anybody told it, and what was taken as soon as it is free', async () => {
    const directory = await mkdtemp(join(lab.directory, 'router-'));
    const [listen, taken] = [lab.listen(), lab.listen()];
    const routes = [either(listen, one), spread(taken, two)];
    const router = await open(directory);
    await router.put('shop', 4, routes);
    expect(statSync(join(directory, 'router.json')).mode & 0o777).toBe(0o600);
    await router.close();
    const squatter = createServer().listen(taken.port, taken.address);
    await new Promise((resolve) => squatter.once('listening', resolve));

    const next = await open(directory);
    await (await pinging(listen)).lives();
    expect(next.bound().get('shop')).toEqual({ epoch: 4, routes: [routes[0]] });
    expect(problems).toEqual([`${taken.address}:${taken.port} can't be listened on: EADDRINUSE.`]);
    await new Promise((resolve) => squatter.close(resolve));
    await waitFor(
      () => next.bound().get('shop')!.routes.length,
      (bound) => bound === 2,
      { what: 'both routes' },
    );
    await (await pinging(taken)).lives();
  });

  test('a damaged table is not taken for an empty one', async () => {
    const directory = await mkdtemp(join(lab.directory, 'router-'));
    writeFileSync(join(directory, 'router.json'), '{"shop":{"epoch":1');
    await expect(open(directory)).rejects.toThrow("router.json can't be read");
    await rm(join(directory, 'router.json'));
    await open(directory);
  });

  test('a table that leads to itself or says the same address twice is refused', async () => {
    const router = await open();
    const [a, b] = [lab.listen(), lab.listen()];
    const loop: Route[] = [
      { kind: 'spread', listen: a, targets: [b] },
      { kind: 'spread', listen: b, targets: [a] },
    ];
    await expect(router.put('shop', 1, loop)).rejects.toThrow(RouteTableInvalid);
    await expect(router.put('shop', 1, [spread(a, one), either(a, one)])).rejects.toThrow(RouteTableInvalid);
    expect(await refuses(a)).toBe(true);
  });
});
