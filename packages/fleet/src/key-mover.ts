/**
 * Moves the keys of open slots from one engine to another with MIGRATE, which every version has: GETKEYSINSLOT, then
 * MIGRATE of what was named, until a slot names none.
 *
 * Keys are bytes. The connection is one of its own: MIGRATE waits for the other engine and may take longer than the
 * host waits for any other command.
 */

import { serviceUserName } from '@larder/engine/acl';
import { Redis, ReplyError } from 'ioredis';
import { adminSocketPath } from './admin-connection.ts';
import { NodeUnreachable } from './host.ts';

export interface KeyMove {
  /** Open at the source, or not owned by it: then nobody adds keys to them there. */
  readonly slots: readonly number[];
  readonly to: {
    readonly nodeId: string;
    readonly address: string;
    /** Where the source reaches it: with TLS when the nodes of the cluster talk by TLS. */
    readonly port: number;
  };
  /** No further batch is begun after this time. */
  readonly budgetMs: number;
}

/** In the engine's own words. */
export class MoveRefused extends Error {
  override name = 'MoveRefused';
}

export interface KeysMoved {
  /** Slots of which the source has no key any more. */
  readonly emptied: readonly number[];
  readonly keys: number;
}

/** One MIGRATE holds up both engines: small enough that clients hardly notice. */
const keysAtOnce = 100;
/** An engine carries out a whole pipeline before it turns to its other clients. */
const batchesAtOnce = 4;
const slotsAtOnce = 64;
/** For one batch, also one with a big key in it. */
const batchTimeoutMs = 20_000;

/** @param folder the source's; @param password of the service's user there, and at the target. */
export async function moveKeys(
  folder: string,
  password: { readonly source: string; readonly target: string },
  { slots, to, budgetMs }: KeyMove,
): Promise<KeysMoved> {
  const endsAt = performance.now() + budgetMs;
  const socket = adminSocketPath(folder);
  const redis = new Redis({
    path: socket.path,
    username: serviceUserName,
    password: password.source,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    commandTimeout: 2 * batchTimeoutMs,
    connectionName: 'larder-keys',
  });
  redis.on('error', () => {});
  const target = [to.address, String(to.port), '', '0', String(batchTimeoutMs), 'REPLACE'];
  const login = ['AUTH2', serviceUserName, password.target];
  const emptied: number[] = [];
  let keys = 0;
  try {
    for (let at = 0; at < slots.length && performance.now() < endsAt; at += slotsAtOnce) {
      let left = slots.slice(at, at + slotsAtOnce);
      while (left.length > 0 && performance.now() < endsAt) {
        const named = await Promise.all(
          left.map((slot) => redis.callBuffer('CLUSTER', 'GETKEYSINSLOT', String(slot), String(keysAtOnce))),
        );
        const batches = (named as Buffer[][]).filter((names) => names.length > 0);
        emptied.push(...left.filter((_, index) => (named[index] as Buffer[]).length === 0));
        left = left.filter((_, index) => (named[index] as Buffer[]).length > 0);
        for (let first = 0; first < batches.length && performance.now() < endsAt; first += batchesAtOnce) {
          const some = batches.slice(first, first + batchesAtOnce);
          await Promise.all(
            some.map((names) => redis.call('MIGRATE', ...target, ...login, 'KEYS', ...names)),
          );
          keys += some.reduce((sum, names) => sum + names.length, 0);
        }
      }
    }
  } catch (error) {
    // Without the command, which the client hangs on its errors: it holds the password.
    if (error instanceof ReplyError) throw new MoveRefused((error as Error).message);
    throw new NodeUnreachable(`The engine in ${folder}: ${(error as Error).message}`, { cause: error });
  } finally {
    redis.disconnect();
    socket.close();
  }
  return { emptied, keys };
}
