/** Engines whose users log in by token through a router, and a clock that is set by hand. */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { TestEngine } from '../../../../testing/engine.ts';
import { encodeCommand } from './resp-skimmer.ts';
import type { IamRoute, Target } from './route-table.ts';
import {
  engineTlsPort,
  iamToken,
  type RouterLab,
  region,
  routerLab,
  secrets,
} from './router.test-support.ts';
import { createRouter, type Router, type RouteStats } from './router.ts';

export const hiddenPassword = 'known to the engine and the router alone';
/** A command as bytes. */
export const command = (...words: string[]) => encodeCommand(words);
export type IamEngine = 'valkey' | 'redis';

export interface IamLab {
  readonly lab: RouterLab;
  /** The routers' clock. */
  nowMs: number;
  /** What the routers said. */
  readonly problems: readonly string[];
  engine(name: IamEngine): TestEngine;
  serve(name: IamEngine, change?: Partial<IamRoute>, authenticateWithinMs?: number): Promise<Served>;
  /** Ends the routers of one test and sets the clock right. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

export interface Served {
  readonly router: Router;
  readonly route: IamRoute;
  readonly listen: Target;
  readonly counters: () => NonNullable<RouteStats['iam']>;
  readonly token: (change?: { cacheName?: string; userId?: string }) => Promise<string>;
}

/**
 * On both engines: `iam-user` and `iam-other` by token, `passer` with `passer password`, the default user with
 * `default password`.
 */
export async function iamLab(): Promise<IamLab> {
  const lab = await routerLab();
  const engines = new Map<IamEngine, TestEngine>();
  for (const name of ['valkey', 'redis'] as const) {
    const engine = await lab.secureEngine(name);
    const admin = new Redis({ host: engine.host, port: engine.port });
    for (const user of ['iam-user', 'iam-other']) {
      await admin.call('ACL', 'SETUSER', user, 'on', `>${hiddenPassword}`, '~*', '&*', '+@all');
    }
    await admin.call('ACL', 'SETUSER', 'passer', 'on', '>passer password', '~*', '&*', '+@all');
    await admin.call('ACL', 'SETUSER', 'default', 'resetpass', '>default password');
    admin.disconnect();
    engines.set(name, engine);
  }
  const routers: Router[] = [];
  const problems: string[] = [];

  const all: IamLab = {
    lab,
    nowMs: Date.now(),
    problems,
    engine: (name) => engines.get(name)!,
    async serve(name, change = {}, authenticateWithinMs) {
      const router = await createRouter({
        directory: await mkdtemp(join(lab.directory, 'router-')),
        lookupSecret: (accessKeyId) => secrets[accessKeyId],
        nowMs: () => all.nowMs,
        onProblem: (error) => problems.push(error.message),
        ...(authenticateWithinMs !== undefined && { authenticateWithinMs }),
      });
      routers.push(router);
      const listen = lab.listen();
      const route: IamRoute = {
        kind: 'iam',
        listen,
        certificate: await lab.issue(`route-${listen.address}`, listen.address),
        upstream: { address: engines.get(name)!.host, port: engineTlsPort, caFile: lab.caFile },
        cacheName: 'shop',
        region,
        iamUsers: ['iam-user', 'iam-other'].map((user) => ({
          userName: user,
          userId: user,
          upstreamPassword: hiddenPassword,
        })),
        anonymous: false,
        ...change,
      };
      await router.put('shop', 1, [route]);
      return {
        router,
        route,
        listen,
        counters: () => router.stats()[0]!.iam!,
        token: ({ cacheName = 'shop', userId = 'iam-user' } = {}) =>
          iamToken(cacheName, userId, new Date(all.nowMs)),
      };
    },
    async reset() {
      for (const router of routers.splice(0)) await router.close();
      problems.length = 0;
      all.nowMs = Date.now();
    },
    close: () => lab.close(),
  };
  return all;
}
