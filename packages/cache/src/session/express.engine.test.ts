/** Sessions of express-session over real HTTP. The first test reads as documentation. */
import type { AddressInfo } from 'node:net';
import express from 'express';
import expressSession from 'express-session';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { type Cache, createCache } from '../cache.ts';
import { nodeRedis } from '../driver/node-redis.ts';
import { Browser } from '../testing/browser.ts';
import { sentDuring } from '../testing/sent-commands.ts';
import { gate } from '../testing/wait-for.ts';
import { ExpressSessionStore } from './express.ts';

import { createSessions } from './session.ts';

declare module 'express-session' {
  interface SessionData {
    user: string;
    cart: string[];
    visits: number;
  }
}

let engine: TestEngine;
let cache: Cache;
const closing: (() => void)[] = [];
beforeAll(async () => {
  engine = await startEngine();
  cache = createCache({ name: 'shop', far: nodeRedis(engine) });
  await cache.ready();
});
afterAll(async () => {
  for (const close of closing) close();
  await cache?.close();
  await engine?.stop();
});

type App = ReturnType<typeof express>;

/** A process of the shop; several may share the sessions. */
async function listen(
  routes: (app: App) => void,
  options: Partial<expressSession.SessionOptions> = {},
): Promise<string> {
  const app = express();
  app.use(
    expressSession({
      store: new ExpressSessionStore(createSessions(cache)),
      secret: 'thirty-two characters at least, or so',
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 3_600_000 },
      ...options,
    }),
  );
  routes(app);
  const server = app.listen(0, '127.0.0.1');
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise((resolve) => server.once('listening', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function shop(app: App): void {
  app.post('/login', (request, response, next) => {
    // A new id, so that whoever planted the old one has nothing.
    request.session.regenerate((error) => {
      if (error) return next(error);
      request.session.user = 'ada';
      response.end('welcome');
    });
  });
  app.post('/logout', (request, response, next) => {
    request.session.destroy((error) => (error ? next(error) : response.end('bye')));
  });
  app.post('/cart/:item', (request, response) => {
    request.session.cart = [...(request.session.cart ?? []), request.params.item];
    response.end('added');
  });
  app.get('/', (request, response) => {
    const { user = 'nobody', cart = [] } = request.session;
    response.json({ user, cart });
  });
}

test('a visitor logs in, shops and logs out', async () => {
  const [one, two] = [await listen(shop), await listen(shop)];
  const visitor = new Browser();
  expect(await visitor.get(`${one}/`)).toEqual({ user: 'nobody', cart: [] });
  await visitor.post(`${one}/cart/pen`);
  const before = visitor.cookie;
  await visitor.post(`${one}/login`);
  expect(visitor.cookie).not.toBe(before);
  await visitor.post(`${two}/cart/ink`);
  expect(await visitor.get(`${one}/`)).toEqual({ user: 'ada', cart: ['ink'] });

  const stolen = new Browser(visitor.cookie);
  await visitor.post(`${two}/logout`);
  expect(await stolen.get(`${one}/`)).toEqual({ user: 'nobody', cart: [] });
  const planted = new Browser(before);
  expect(await planted.get(`${one}/`)).toEqual({ user: 'nobody', cart: [] });
});

test('a slow request that ends after the logout does not log in again', async () => {
  const [begun, goOn] = [gate(), gate()];
  const url = await listen((app) => {
    shop(app);
    app.post('/slow', async (request, response) => {
      begun.open();
      await goOn.opened;
      request.session.visits = 1;
      response.end('done');
    });
  });
  const visitor = new Browser();
  await visitor.post(`${url}/login`);
  const cookie = visitor.cookie;
  const slow = new Browser(cookie).post(`${url}/slow`);
  await begun.opened;
  await visitor.post(`${url}/logout`);
  goOn.open();
  await slow;
  expect(await new Browser(cookie).get(`${url}/`)).toEqual({ user: 'nobody', cart: [] });
});

test('requests of one visitor at once keep what each did', async () => {
  let waiting = 0;
  const all = gate();
  const url = await listen((app) => {
    shop(app);
    app.post('/note/:key', async (request, response) => {
      waiting += 1;
      if (waiting === 8) all.open();
      await all.opened;
      (request.session as unknown as Record<string, unknown>)[request.params.key] = true;
      if (request.params.key === 'k0') delete request.session.cart;
      response.end('noted');
    });
    app.get('/all', (request, response) => {
      const { cookie: _, ...rest } = request.session;
      response.json(rest);
    });
  });
  const visitor = new Browser();
  await visitor.post(`${url}/login`);
  await visitor.post(`${url}/cart/pen`);
  const notes = Array.from({ length: 8 }, (_, n) => new Browser(visitor.cookie).post(`${url}/note/k${n}`));
  await Promise.all(notes);
  const expected = Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`k${n}`, true]));
  expect(await visitor.get(`${url}/all`)).toEqual({ user: 'ada', ...expected });
});

test('reload, save in the middle, and the store by hand do what the package says', async () => {
  const url = await listen((app) => {
    app.get('/', (request, response, next) => {
      const { session } = request;
      session.user = 'ada';
      session.save((saved) => {
        if (saved) return next(saved);
        session.user = 'somebody else';
        session.reload((error) => {
          if (error) return next(error);
          request.session.visits = 3;
          response.json({ user: request.session.user });
        });
      });
    });
    app.get('/visits', (request, response) => void response.json(request.session.visits ?? null));
  });
  const visitor = new Browser();
  expect(await visitor.get(url)).toEqual({ user: 'ada' });
  expect(await visitor.get(`${url}/visits`)).toBe(3);

  const store = new ExpressSessionStore(createSessions(cache, { name: 'by-hand' }));
  const call = <T>(step: (done: (error: unknown, value?: T) => void) => void): Promise<T | undefined> =>
    new Promise((resolve, reject) => step((error, value) => (error ? reject(error) : resolve(value))));
  const data = { cookie: { originalMaxAge: 60_000 }, user: 'ada' } as expressSession.SessionData;
  await call((done) => store.set('one', data, done));
  expect(await call((done) => store.get('one', done))).toMatchObject({ user: 'ada' });
  expect(await call((done) => store.get('two', done))).toBeNull();
  expect(await call<number>((done) => store.length(done))).toBe(1);
  const [only] = (await call<expressSession.SessionData[] | null>((done) => store.all(done)))!;
  expect(only?.user).toBe('ada');
  expect(new Date(only!.cookie.expires!).getTime()).toBeGreaterThan(Date.now());
  await call((done) => store.clear(done));
  expect(await call<number>((done) => store.length(done))).toBe(0);
});

test('a request that only reads costs the engine one command', async () => {
  const url = await listen(shop);
  const visitor = new Browser();
  await visitor.post(`${url}/cart/pen`);
  expect(await sentDuring(cache, () => visitor.get(url))).toEqual(['GET']);
  expect(await sentDuring(cache, () => visitor.post(`${url}/cart/ink`))).toEqual(['GET', 'sessionSave']);
});
