/** One web server with one session store, in a process of its own. */
import type { AddressInfo } from 'node:net';
import { createCache } from '@larder/cache';
import { ExpressSessionStore } from '@larder/cache/express';
import { nodeRedis } from '@larder/cache/node-redis';
import { createSessions } from '@larder/cache/session';
import { importPeer } from '../import-peer.ts';
import { nodeRedisClient } from '../subjects/aside.ts';
import { serve } from '../worker-service.ts';

/** connect-redis over node-redis without its per-command timer, which costs more than the command. */
export const sessionVariants = [
  'no session',
  'memory',
  'connect-redis',
  'larder',
  'larder, a touch each',
] as const;
export type SessionVariant = (typeof sessionVariants)[number];

export interface SessionsStart {
  readonly variant: SessionVariant;
  readonly engine: { readonly host: string; readonly port: number };
}

export interface SessionsReady {
  readonly port: number;
  readonly cookies: readonly string[];
}

interface Request {
  readonly session?: { user?: object; visits?: number; cart?: readonly object[] };
}
interface Response {
  json(value: unknown): void;
}
type Handler = (request: Request, response: Response) => void;
interface App {
  use(middleware: unknown): void;
  get(path: string, handler: Handler): void;
  listen(
    port: number,
    host: string,
    listening: () => void,
  ): { keepAliveTimeout: number; address(): AddressInfo | string | null };
}

const sessionCount = 256;
const secret = 'the same for every store';

async function openStore({ variant, engine }: SessionsStart): Promise<unknown> {
  switch (variant) {
    case 'connect-redis': {
      const { RedisStore } = await importPeer<{ RedisStore: new (options: object) => unknown }>(
        'connect-redis',
      );
      const client = await nodeRedisClient(engine);
      return new RedisStore({ client, prefix: 's:' });
    }
    case 'larder':
    case 'larder, a touch each': {
      const touchEach = variant !== 'larder';
      const cache = createCache({
        name: touchEach ? 'touch' : 'larder',
        far: nodeRedis(engine),
        near: false,
      });
      await cache.ready();
      return new ExpressSessionStore(createSessions(cache, touchEach ? { touchEveryMs: 0 } : {}));
    }
    default:
      return undefined;
  }
}

serve<SessionsStart>(async (start) => {
  const { default: express } = await importPeer<{ default: () => App }>('express');
  const { default: session } = await importPeer<{ default: (options: object) => unknown }>('express-session');
  const app = express();
  const store = await openStore(start);
  if (start.variant !== 'no session') {
    const cookie = { maxAge: 3_600_000 };
    const common = { secret, resave: false, saveUninitialized: false, cookie };
    app.use(session(store === undefined ? common : { ...common, store }));
  }
  app.get('/begin', ({ session: mine }, response) => {
    if (mine !== undefined) {
      mine.user = { id: 7, name: 'Ada', roles: ['buyer', 'editor'] };
      mine.visits = 0;
      mine.cart = Array.from({ length: 5 }, (_, id) => ({ id, count: 2, name: `Product number ${id}` }));
    }
    response.json({ ok: true });
  });
  app.get('/read', ({ session: mine }, response) => {
    if (start.variant !== 'no session' && mine?.user === undefined) throw new Error('The session is gone.');
    response.json({ visits: mine?.visits ?? 0 });
  });
  app.get('/write', ({ session: mine }, response) => {
    if (mine?.visits === undefined) throw new Error('The session is gone.');
    mine.visits += 1;
    response.json({ visits: mine.visits });
  });
  const port = await new Promise<number>((resolve) => {
    const server = app.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('No port.');
      resolve(address.port);
    });
    // Connections wait for their next slice.
    server.keepAliveTimeout = 3_600_000;
  });
  let before = process.cpuUsage();
  return {
    async prepare(): Promise<SessionsReady> {
      const cookies = [];
      for (let count = 0; count < sessionCount; count += 1) {
        const response = await fetch(`http://127.0.0.1:${port}/begin`);
        await response.text();
        cookies.push(response.headers.getSetCookie()[0]?.split(';')[0] ?? 'none=1');
      }
      return { port, cookies };
    },
    begin() {
      // What earlier slices left behind isn't this one's.
      (globalThis as { gc?: () => void }).gc?.();
      before = process.cpuUsage();
    },
    /** CPU time since `begin`, µs. */
    end(): number {
      const { user, system } = process.cpuUsage(before);
      return user + system;
    },
  };
});
