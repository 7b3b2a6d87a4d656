/** Sessions of @fastify/session over real HTTP. The first test reads as documentation. */
import fastifyCookie from '@fastify/cookie';
import fastifySession from '@fastify/session';
import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { type Cache, createCache } from '../cache.ts';
import { nodeRedis } from '../driver/node-redis.ts';
import { Browser } from '../testing/browser.ts';
import { sentDuring } from '../testing/sent-commands.ts';
import { gate } from '../testing/wait-for.ts';
import { FastifySessionStore } from './fastify.ts';
import { createSessions } from './session.ts';

declare module 'fastify' {
  interface Session {
    user?: string;
    cart?: string[];
    note?: string;
  }
}

let engine: TestEngine;
let cache: Cache;
const apps: FastifyInstance[] = [];
beforeAll(async () => {
  engine = await startEngine();
  cache = createCache({ name: 'shop', far: nodeRedis(engine) });
  await cache.ready();
});
afterAll(async () => {
  await Promise.all(apps.map((app) => app.close()));
  await cache?.close();
  await engine?.stop();
});

async function listen(routes: (app: FastifyInstance) => void): Promise<string> {
  const app = fastify({ forceCloseConnections: true });
  apps.push(app);
  await app.register(fastifyCookie);
  await app.register(fastifySession, {
    store: new FastifySessionStore(createSessions(cache, { name: 'fastify' })),
    secret: 'thirty-two characters at least, or so',
    saveUninitialized: false,
    cookie: { secure: false, maxAge: 3_600_000 },
  });
  routes(app);
  return app.listen({ port: 0, host: '127.0.0.1' });
}

function shop(app: FastifyInstance): void {
  app.post('/login', async (request) => {
    await request.session.regenerate();
    request.session.user = 'ada';
    return 'welcome';
  });
  app.post('/logout', async (request) => {
    await request.session.destroy();
    return 'bye';
  });
  app.post<{ Params: { item: string } }>('/cart/:item', async (request) => {
    request.session.cart = [...(request.session.cart ?? []), request.params.item];
    return 'added';
  });
  app.get('/', async ({ session }) => ({ user: session.user ?? 'nobody', cart: session.cart ?? [] }));
}

test('a visitor logs in, shops and logs out', async () => {
  const [one, two] = [await listen(shop), await listen(shop)];
  const visitor = new Browser();
  await visitor.post(`${one}/cart/pen`);
  const before = visitor.cookie;
  await visitor.post(`${one}/login`);
  expect(visitor.cookie).not.toBe(before);
  await visitor.post(`${two}/cart/ink`);
  expect(await visitor.get(`${one}/`)).toEqual({ user: 'ada', cart: ['ink'] });
  const stolen = new Browser(visitor.cookie);
  await visitor.post(`${two}/logout`);
  expect(await stolen.get(`${one}/`)).toEqual({ user: 'nobody', cart: [] });
  expect(await new Browser(before).get(`${one}/`)).toEqual({ user: 'nobody', cart: [] });
});

test('a slow request neither brings a destroyed session back nor takes what others saved', async () => {
  const [begun, goOn] = [gate(), gate()];
  let stops = 0;
  const url = await listen((app) => {
    shop(app);
    app.post('/slow', async (request) => {
      stops += 1;
      if (stops === 2) begun.open();
      await goOn.opened;
      request.session.note = 'slow';
      return 'done';
    });
    app.get('/note', async ({ session }) => ({
      note: session.note ?? '',
      loaded: session.get('cart') ?? [],
    }));
  });
  const [leaver, stayer] = [new Browser(), new Browser()];
  await leaver.post(`${url}/login`);
  await stayer.post(`${url}/login`);
  const cookies = [leaver.cookie, stayer.cookie] as const;
  const slow = cookies.map((cookie) => new Browser(cookie).post(`${url}/slow`));
  await begun.opened;
  await leaver.post(`${url}/logout`);
  await stayer.post(`${url}/cart/pen`);
  goOn.open();
  await Promise.all(slow);
  expect(await new Browser(cookies[0]).get(url)).toEqual({ user: 'nobody', cart: [] });
  expect(await new Browser(cookies[1]).get(url)).toEqual({ user: 'ada', cart: ['pen'] });
  expect(await new Browser(cookies[1]).get(`${url}/note`)).toEqual({ note: 'slow', loaded: ['pen'] });
});

test('a request that only reads costs the engine one command, though the package saves it', async () => {
  const url = await listen(shop);
  const visitor = new Browser();
  await visitor.post(`${url}/login`);
  expect(await sentDuring(cache, () => visitor.get(url))).toEqual(['GET']);
});
