/**
 * The host's own connection to one engine. Its closing is one of the signs by which a death is noticed, so it
 * is kept open all the time a node runs.
 */

import { connect } from 'node:net';
import type { EngineName } from '@larder/engine/engine';
import { parseClusterNodes, parseInfo } from '@larder/engine/info';
import { Redis, ReplyError } from 'ioredis';
import { type EngineObservation, NodeUnreachable } from './host.ts';

const commandTimeoutMs = 500;
const reconnectMs = 10;

export interface AdminConnection {
  /** Engine commands in order, pipelined. Rejects with the first error, after all were answered. */
  send(commands: readonly (readonly string[])[]): Promise<unknown[]>;
  observe(clusterEnabled: boolean): Promise<EngineObservation>;
  close(): void;
}

export interface AdminConnectionEvents {
  readonly onReady: () => void;
  readonly onClose: () => void;
}

export function adminConnection(
  address: string,
  port: number,
  { onReady, onClose }: AdminConnectionEvents,
): AdminConnection {
  const redis = new Redis({
    host: address,
    port,
    enableOfflineQueue: false,
    // LOADING is an answer: the node lives. We look at INFO ourselves.
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => reconnectMs,
    connectTimeout: commandTimeoutMs,
    commandTimeout: commandTimeoutMs,
    connectionName: 'larder',
  });
  redis.on('ready', onReady);
  redis.on('close', onClose);
  // Connection errors show as "close"; without a listener ioredis prints each of them.
  redis.on('error', () => {});

  async function send(commands: readonly (readonly string[])[]): Promise<unknown[]> {
    if (redis.status !== 'ready') throw new NodeUnreachable(`No connection to ${address}:${port}.`);
    const pipeline = redis.pipeline();
    for (const [name, ...words] of commands) pipeline.call(name!, ...words);
    const replies = (await pipeline.exec()) ?? [];
    return replies.map(([error, reply]) => {
      if (error === null) return reply;
      // The engine's own refusals go to the caller as they are; everything else means that it was not reached.
      if (error instanceof ReplyError) throw error;
      throw new NodeUnreachable(`${address}:${port}: ${error.message}`, { cause: error });
    });
  }

  return {
    send,
    async observe(clusterEnabled) {
      const [infoText, bind, clusterInfo, clusterNodes] = (await send([
        ['INFO'],
        ['CONFIG', 'GET', 'bind'],
        ...(clusterEnabled
          ? [
              ['CLUSTER', 'INFO'],
              ['CLUSTER', 'NODES'],
            ]
          : []),
      ])) as [string, [string, string], string?, string?];
      return {
        info: parseInfo(infoText),
        boundAddresses: bind[1].split(' ').filter((each) => each !== ''),
        ...(clusterNodes !== undefined && {
          cluster: {
            state: clusterInfo?.includes('cluster_state:ok') === true ? 'ok' : 'fail',
            peers: parseClusterNodes(clusterNodes),
          },
        }),
      };
    },
    close: () => redis.disconnect(),
  };
}

/** How many items a Memcached node holds, as a sign of life. @throws NodeUnreachable */
export function memcachedItems(address: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, address);
    let reply = '';
    const fail = () => {
      socket.destroy();
      reject(new NodeUnreachable(`Memcached on ${address}:${port} did not answer.`));
    };
    socket.setTimeout(commandTimeoutMs, fail);
    socket.once('error', fail);
    // A node that is shutting down may still accept, and then hang up without a word.
    socket.once('close', fail);
    socket.once('connect', () => socket.write('stats\r\n'));
    socket.on('data', (chunk) => {
      reply += chunk.toString('latin1');
      if (!reply.endsWith('END\r\n')) return;
      socket.destroy();
      resolve(Number(/STAT curr_items (\d+)/.exec(reply)?.[1] ?? 0));
    });
  });
}

/** Memcached has no connection worth keeping; its death is seen in the process table alone. */
export function keepsAdminConnection(engine: EngineName): boolean {
  return engine !== 'memcached';
}
