/** Sessions of Hono. The first test reads as documentation. */
import { type ServerType, serve } from '@hono/node-server';
import { Hono } from 'hono';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { type Cache, createCache } from '../cache.ts';
import { nodeRedis } from '../driver/node-redis.ts';
import { CacheConfigError } from '../errors.ts';
import { Browser } from '../testing/browser.ts';
import { gate } from '../testing/wait-for.ts';
import { type HonoSessionVariables, honoSessions } from './hono.ts';
import { createSessions } from './session.ts';

let engine: TestEngine;
let cache: Cache;
const servers: ServerType[] = [];
beforeAll(async () => {
  engine = await startEngine();
  cache = createCache({ name: 'shop', far: nodeRedis(engine) });
  await cache.ready();
});
afterAll(async () => {
  for (const server of servers) server.close();
  await cache?.close();
  await engine?.stop();
});

const secret = 'thirty-two characters at least, or so';
type App = Hono<{ Variables: HonoSessionVariables }>;

function shop(routes: (app: App) => void = () => {}): App {
  const app: App = new Hono();
  app.use(honoSessions(createSessions(cache, { name: 'hono' }), { secret, cookie: { secure: false } }));
  app.post('/login', async (c) => {
    const session = c.get('session');
    await session.regenerate();
    session.data.user = 'ada';
    return c.text('welcome');
  });
  app.post('/logout', async (c) => {
    await c.get('session').destroy();
    return c.text('bye');
  });
  app.post('/cart/:item', (c) => {
    const { data } = c.get('session');
    data.cart = [...((data.cart as string[] | undefined) ?? []), c.req.param('item')];
    return c.text('added');
  });
  app.get('/', (c) => {
    const { user = 'nobody', cart = [] } = c.get('session').data;
    return c.json({ user, cart });
  });
  routes(app);
  return app;
}

async function listen(app: App): Promise<string> {
  return new Promise((resolve) => {
    const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) =>
      resolve(`http://127.0.0.1:${port}`),
    );
    servers.push(server);
  });
}

test('a visitor logs in, shops and logs out', async () => {
  const [one, two] = [await listen(shop()), await listen(shop())];
  const visitor = new Browser();
  await visitor.get(`${one}/`);
  expect(visitor.cookie).toBe('');
  await visitor.post(`${one}/cart/pen`);
  const before = visitor.cookie;
  await visitor.post(`${one}/login`);
  expect(visitor.cookie).not.toBe(before);
  await visitor.post(`${two}/cart/ink`);
  // Logging in kept what was in the cart; the old id is worth nothing.
  expect(await visitor.get(`${one}/`)).toEqual({ user: 'ada', cart: ['pen', 'ink'] });
  expect(await new Browser(before).get(`${one}/`)).toEqual({ user: 'nobody', cart: [] });
  const stolen = new Browser(visitor.cookie);
  await visitor.post(`${two}/logout`);
  expect(visitor.cookie).toBe('session=');
  expect(await stolen.get(`${one}/`)).toEqual({ user: 'nobody', cart: [] });
});

test('an id of the client, unsigned or unknown, is never taken over', async () => {
  const url = await listen(shop());
  const visitor = new Browser();
  await visitor.post(`${url}/cart/pen`);
  const [id, signature] = visitor.cookie.slice('session='.length).split('.');
  for (const cookie of [`session=${id}`, `session=${id}.x`, `session=chosen.${signature}`, 'session=']) {
    const forger = new Browser(cookie);
    expect(await forger.get(url)).toEqual({ user: 'nobody', cart: [] });
    await forger.post(`${url}/cart/ink`);
    expect(forger.cookie).not.toBe(cookie);
  }
  expect(await visitor.get(url)).toEqual({ user: 'nobody', cart: ['pen'] });
  expect(() => honoSessions(createSessions(cache), { secret: 'short' })).toThrow(CacheConfigError);
});

test('a slow request neither brings a session back nor gives out its cookie', async () => {
  const [begun, goOn] = [gate(), gate()];
  const url = await listen(
    shop((app) => {
      app.post('/slow', async (c) => {
        begun.open();
        await goOn.opened;
        c.get('session').data.note = 'slow';
        return c.text('done');
      });
    }),
  );
  const visitor = new Browser();
  await visitor.post(`${url}/login`);
  const other = new Browser(visitor.cookie);
  const { cookie } = other;
  const slow = other.post(`${url}/slow`);
  await begun.opened;
  await visitor.post(`${url}/logout`);
  goOn.open();
  await slow;
  expect(await new Browser(cookie).get(url)).toEqual({ user: 'nobody', cart: [] });
});
