/** Whoever wrote reads what was written, in real apps of each framework, also from another process. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import express from 'express';
import Fastify from 'fastify';
import { Hono } from 'hono';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Cache } from '../cache.ts';
import type { Definition } from '../definition.ts';
import { CacheConfigError } from '../errors.ts';
import { OwnWrites } from '../own-writes.ts';
import { waitFor } from '../testing/wait-for.ts';
import { TestBed } from '../testkit/testkit.ts';
import { expressOwnWrites } from './express-own-writes.ts';
import { fastifyOwnWrites } from './fastify-own-writes.ts';
import { honoOwnWrites } from './hono-own-writes.ts';
import { type OwnWritesTransport, ownWritesRequests } from './own-writes-ticket.ts';

interface App {
  readonly address: string;
  close(): Promise<void>;
}
interface Shop {
  readonly cache: Cache;
  readonly product: Definition<string, number>;
  save(id: string, price: number): Promise<void>;
}
type Framework = (shop: Shop, transport: OwnWritesTransport) => Promise<App>;

function listening(server: Server): App {
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

const frameworks: readonly [string, Framework][] = [
  [
    'Express',
    async ({ cache, product, save }, transport) => {
      const app = express();
      app.use(expressOwnWrites(cache, transport), express.json());
      app.get('/:id', async (request, response) => {
        response.json(await product.get(request.params.id));
      });
      app.put('/:id', async (request, response) => {
        await save(request.params.id, (request.body as { price: number }).price);
        await cache.ownWrites.wrote();
        response.cookie('other', 'kept').json(await product.get(request.params.id));
      });
      const server = createServer(app);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return listening(server);
    },
  ],
  [
    'Fastify',
    async ({ cache, product, save }, transport) => {
      const app = Fastify();
      app.register(fastifyOwnWrites(cache, transport));
      app.get<{ Params: { id: string } }>('/:id', (request) => product.get(request.params.id));
      app.put<{ Params: { id: string }; Body: { price: number } }>('/:id', async (request, reply) => {
        await save(request.params.id, request.body.price);
        await cache.ownWrites.wrote();
        reply.header('set-cookie', 'other=kept');
        return product.get(request.params.id);
      });
      await app.listen({ port: 0, host: '127.0.0.1' });
      return { ...listening(app.server), close: () => app.close() };
    },
  ],
  [
    'Hono',
    async ({ cache, product, save }, transport) => {
      const app = new Hono();
      app.use(honoOwnWrites(cache, transport));
      app.get('/:id', async (context) => context.json(await product.get(context.req.param('id'))));
      app.put('/:id', async (context) => {
        const id = context.req.param('id');
        await save(id, (await context.req.json<{ price: number }>()).price);
        await cache.ownWrites.wrote();
        context.header('set-cookie', 'other=kept');
        return context.json(await product.get(id));
      });
      const server = await new Promise<Server>((resolve) => {
        const started = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, () =>
          resolve(started as Server),
        );
      });
      return listening(server);
    },
  ],
];

const secret = 'a secret of the tests';
let bed: TestBed;
const apps: App[] = [];
beforeEach(() => {
  bed = new TestBed();
});
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await bed.close();
});

/** Two processes over one database, whose changes arrive late. */
async function open(framework: Framework, transport: OwnWritesTransport) {
  const prices = new Map([['7', 100]]);
  bed = new TestBed({
    cache: {
      database: {
        name: 'memory',
        position: async () => bed.changes.position,
        barrier: async () => 0n,
        oldestInProgress: async () => 0n,
      },
    },
  });
  const shops = [bed.cache(), bed.cache()].map((cache): Shop => {
    const product = cache.define<string, number>({
      name: 'product',
      key: (id) => id,
      load: async (id) => prices.get(id),
      watches: [{ table: 'public.products', key: (row) => row.id }],
    });
    return {
      cache,
      product,
      async save(id, price) {
        prices.set(id, price);
        bed.changes.commit('public.products', { id });
      },
    };
  });
  await bed.follow(shops[0]!.cache);
  await shops[1]!.cache.ready();
  for (const { product } of shops) {
    await waitFor(
      'the old price near',
      async () => (await product.get('7')) === 100 && product.near('7') === 100,
    );
  }
  const [here, there] = (await Promise.all(shops.map((shop) => framework(shop, transport)))) as [App, App];
  apps.push(here, there);
  bed.changes.withhold(true);
  return { here, there };
}

const put = (app: App, price: number): Promise<Response> =>
  fetch(`${app.address}/7`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ price }),
  });
const priceAt = async (app: App, headers: Record<string, string> = {}): Promise<unknown> =>
  (await fetch(`${app.address}/7`, { headers })).json();

describe.each(frameworks)('%s', (_, framework) => {
  test('a cookie carries the write to the next request, elsewhere', async () => {
    const { here, there } = await open(framework, { secret });
    const response = await put(here, 95);
    expect(await response.json()).toBe(95);
    const cookies = response.headers.getSetCookie();
    expect(cookies.map((cookie) => cookie.split('=')[0]).sort()).toEqual(['larder-own-writes', 'other']);
    const own = cookies.find((cookie) => cookie.startsWith('larder'))!;
    expect(own).toMatch(/; Max-Age=10; Path=\/; HttpOnly; SameSite=Lax$/);
    const cookie = `a=b; ${own.split(';')[0]}`;
    expect(await priceAt(there, { cookie })).toBe(95);
    // It is the cookie that does it: the event is still withheld.
    expect(await priceAt(there)).toBe(100);
    // Forged, cut, of another cache: none.
    const forged = cookie.replace(/=[0-9a-f]{16}\./, `=${'f'.repeat(16)}.`);
    for (const bad of [forged, cookie.slice(0, -1), 'larder-own-writes=', 'larder-own-writes']) {
      expect(await priceAt(there, { cookie: bad })).toBe(100);
    }
    // Who wrote nothing gets nothing.
    const read = await fetch(`${there.address}/7`, { headers: { cookie } });
    expect(read.headers.getSetCookie()).toEqual([]);
  });

  test('a header does as well', async () => {
    const { here, there } = await open(framework, { secret, header: 'Larder-Own-Writes' });
    const response = await put(here, 95);
    const ticket = response.headers.get('larder-own-writes')!;
    expect(response.headers.getSetCookie()).toEqual([expect.stringMatching(/^other=/)]);
    expect(await priceAt(there, { 'larder-own-writes': ticket })).toBe(95);
    expect(await priceAt(there)).toBe(100);
  });
});

test.each([
  ['an object', { 'set-cookie': ['one=1', 'two=2'], 'x-other': 'kept' }],
  ['a list', ['set-cookie', 'one=1', 'set-cookie', 'two=2', 'x-other', 'kept']],
])('headers that writeHead is given, as %s, stand beside the cookie', async (_, headers) => {
  const cache = {
    name: 'shop',
    ownWrites: new OwnWrites(
      async () => 1n,
      () => '',
    ),
  };
  const middleware = expressOwnWrites(cache, { secret });
  const server = createServer((request, response) =>
    middleware(request, response, async () => {
      await cache.ownWrites.wrote();
      response.writeHead(201, headers as string[]).end('done');
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const app = listening(server);
  apps.push(app);
  const response = await fetch(app.address);
  expect([response.status, await response.text()]).toEqual([201, 'done']);
  expect(response.headers.get('x-other')).toBe('kept');
  const names = response.headers.getSetCookie().map((cookie) => cookie.split('=')[0]);
  expect(names).toEqual(['one', 'two', 'larder-own-writes']);
});

test('secrets can be changed while tickets are under way', async () => {
  const cache = {
    name: 'shop',
    ownWrites: new OwnWrites(
      async () => 0xabcn,
      () => '',
    ),
  };
  const other = 'another secret of the tests';
  const written = ownWritesRequests(cache, { secret, header: 'own' })(() => undefined);
  await written.run(() => cache.ownWrites.wrote());
  const [, ticket] = written.responseHeader()!;
  const tokenWith = (secrets: string | readonly string[], name = 'shop'): string | undefined =>
    ownWritesRequests(
      { ...cache, name },
      { secret: secrets, header: 'own' },
    )(() => ticket).run(() => cache.ownWrites.token());
  expect(tokenWith([other, secret])).toBe('0000000000000abc');
  expect(tokenWith(other)).toBeUndefined();
  expect(tokenWith(secret, 'another cache')).toBeUndefined();
});

test('weak secrets and broken names are refused', () => {
  const cache = bed.cache();
  const requestsOf = (transport: OwnWritesTransport) => ownWritesRequests(cache, transport);
  for (const transport of [
    { secret: 'short' },
    { secret: [] },
    { secret, cookie: { name: 'a=b' } },
    { secret, cookie: { path: '/; Domain=evil' } },
    { secret, cookie: { maxAgeSeconds: 0 } },
    { secret, header: 'a b' },
  ]) {
    expect(() => requestsOf(transport)).toThrow(CacheConfigError);
  }
});
