/**
 * The host's own connection to one engine. Its closing is one of the signs by which a death is noticed, so it
 * is kept open all the time a node runs.
 *
 * It goes by the engine's unix socket: the same with and without TLS, wherever the engine listens.
 */

import { closeSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { serviceUserName } from '@larder/engine/acl';
import { adminSocket } from '@larder/engine/config-file';
import type { EngineName } from '@larder/engine/engine';
import { parseClusterNodes, parseInfo, parseSlotMigrations } from '@larder/engine/info';
import { Redis, ReplyError } from 'ioredis';
import { type EngineObservation, NodeUnreachable, writeFence } from './host.ts';
import type { OwnConnectionCounter } from './own-connections.ts';

const commandTimeoutMs = 500;
const reconnectMs = 10;

export interface AdminConnection {
  /** Engine commands in order, pipelined. Rejects with the first error, after all were answered. */
  send(commands: readonly (readonly string[])[]): Promise<unknown[]>;
  /** @param cluster what of cluster mode there is to ask for: nothing, the nodes, or also moves of whole slots. */
  observe(cluster: 'none' | 'nodes' | 'nodes-and-moves'): Promise<EngineObservation>;
  readParameters(): Promise<{ parameters: Record<string, string>; userNames: string[] }>;
  close(): void;
}

export interface AdminConnectionEvents {
  /** It opened a connection (1), or one ended (-1). */
  readonly onConnection?: (change: 1 | -1) => void;
  readonly onReady: () => void;
  readonly onClose: () => void;
}

/** The kernel's bound on a socket's path. */
const longestSocketPath = 107;

/** @param folder the node's; @param password of the service's user. */
export function adminConnection(
  folder: string,
  password: string,
  { onConnection, onReady, onClose }: AdminConnectionEvents,
): AdminConnection {
  const socket = adminSocketPath(folder);
  const redis = new Redis({
    path: socket.path,
    username: serviceUserName,
    password,
    enableOfflineQueue: false,
    // LOADING is an answer: the node lives. We look at INFO ourselves.
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => reconnectMs,
    connectTimeout: commandTimeoutMs,
    commandTimeout: commandTimeoutMs,
    // No name either: a connection that is lost before such commands are answered is never opened again
    // (ioredis issue 2099).
    disableClientInfo: true,
  });
  redis.on('ready', onReady);
  let connected = false;
  redis.on('connect', () => {
    connected = true;
    onConnection?.(1);
  });
  redis.on('close', () => {
    if (connected) onConnection?.(-1);
    connected = false;
    onClose();
  });
  // Connection errors show as "close"; without a listener ioredis prints each of them.
  redis.on('error', () => {});

  async function send(commands: readonly (readonly string[])[]): Promise<unknown[]> {
    if (redis.status !== 'ready') throw new NodeUnreachable(`No connection to the engine in ${folder}.`);
    const pipeline = redis.pipeline();
    for (const [name, ...words] of commands) pipeline.call(name!, ...words);
    const replies = (await pipeline.exec()) ?? [];
    return replies.map(([error, reply]) => {
      if (error === null) return reply;
      // The engine's own refusals go to the caller as they are; everything else means that it was not reached.
      if (error instanceof ReplyError) throw withoutCommand(error);
      throw new NodeUnreachable(`The engine in ${folder}: ${error.message}`, { cause: error });
    });
  }

  return {
    send,
    async observe(cluster) {
      const clusterCommands = [
        ['CLUSTER', 'INFO'],
        ['CLUSTER', 'NODES'],
        ...(cluster === 'nodes-and-moves' ? [['CLUSTER', 'GETSLOTMIGRATIONS']] : []),
      ];
      const [infoText, settings, clusterInfo, clusterNodes, moves] = (await send([
        ['INFO'],
        ['CONFIG', 'GET', 'bind', 'min-replicas-to-write'],
        ...(cluster === 'none' ? [] : clusterCommands),
      ])) as [string, string[], string?, string?, unknown?];
      return {
        info: parseInfo(infoText),
        boundAddresses: setting(settings, 'bind')
          .split(' ')
          .filter((each) => each !== ''),
        writesFenced: setting(settings, 'min-replicas-to-write') === writeFence,
        ...(clusterNodes !== undefined && {
          cluster: {
            state: clusterInfo?.includes('cluster_state:ok') === true ? 'ok' : 'fail',
            peers: parseClusterNodes(clusterNodes),
            ...(moves !== undefined && { slotMigrations: parseSlotMigrations(moves) }),
          },
        }),
      };
    },
    async readParameters() {
      const [flat, names] = (await send([
        ['CONFIG', 'GET', '*'],
        ['ACL', 'USERS'],
      ])) as [string[], string[]];
      const parameters: Record<string, string> = {};
      for (let index = 0; index < flat.length; index += 2) parameters[flat[index]!] = flat[index + 1]!;
      return { parameters, userNames: names };
    },
    close() {
      redis.disconnect();
      socket.close();
    },
  };
}

/** One of a CONFIG GET's answers, which come as name, value, name, value. */
function setting(flat: readonly string[], name: string): string {
  return flat[flat.indexOf(name) + 1]!;
}

/** The driver hangs the command on its errors, and commands hold passwords: they must not come into a log. */
function withoutCommand(error: Error): Error {
  if ('command' in error) delete error.command;
  return error;
}

/** A folder may be deeper than a socket's path may be long: then by an open folder's name in /proc. */
export function adminSocketPath(folder: string): { readonly path: string; close(): void } {
  const path = join(folder, adminSocket);
  if (Buffer.byteLength(path) <= longestSocketPath) return { path, close() {} };
  const descriptor = openSync(folder, 'r');
  let open = true;
  return {
    path: `/proc/${process.pid}/fd/${descriptor}/${adminSocket}`,
    close() {
      if (open) closeSync(descriptor);
      open = false;
    },
  };
}

/** How many items a Memcached node holds, as a sign of life. @throws NodeUnreachable */
export async function memcachedItems(
  address: string,
  port: number,
  tls: boolean,
  own: OwnConnectionCounter,
): Promise<number> {
  const reply = await memcachedCommand(address, port, tls, 'stats', own);
  return Number(/STAT curr_items (\d+)/.exec(reply)?.[1] ?? 0);
}

/** One command over a connection of its own; its reply up to `END` or `OK`. @throws NodeUnreachable */
export function memcachedCommand(
  address: string,
  port: number,
  tls: boolean,
  text: string,
  own: OwnConnectionCounter,
): Promise<string> {
  return new Promise((resolve, reject) => {
    // It is our own node's address, on this machine: there is nobody to mistake it for.
    const socket = tls
      ? connectTls({ host: address, port, rejectUnauthorized: false })
      : connect(port, address);
    let reply = '';
    const fail = () => {
      socket.destroy();
      reject(new NodeUnreachable(`Memcached on ${address}:${port} did not answer.`));
    };
    socket.once('connect', () => {
      own.count(1);
      socket.once('close', () => own.count(-1));
    });
    socket.setTimeout(commandTimeoutMs, fail);
    socket.once('error', fail);
    // A node that is shutting down may still accept, and then hang up without a word.
    socket.once('close', fail);
    socket.once(tls ? 'secureConnect' : 'connect', () => socket.write(`${text}\r\n`));
    socket.on('data', (chunk) => {
      reply += chunk.toString('latin1');
      if (!/(^|\n)(END|OK|ERROR)[^\n]*\r\n$/.test(reply)) return;
      socket.destroy();
      resolve(reply);
    });
  });
}

/** Memcached has no connection worth keeping; its death is seen in the process table alone. */
export function keepsAdminConnection(engine: EngineName): boolean {
  return engine !== 'memcached';
}
