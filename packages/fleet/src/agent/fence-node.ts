/**
 * Takes writes away from a node without anybody's order: its host's lease ends. A replica is left as it is. A primary
 * refuses writes from then on, listens on its own address alone and lets its clients go; one that does not answer is
 * killed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { adminConnection } from '../admin-connection.ts';
import { type Incarnation, writeFence } from '../host.ts';
import { deathOf } from '../process-table.ts';

/** What has to be known of a node to fence it. */
export interface FencedNode {
  readonly nodeId: string;
  readonly folder: string;
  readonly incarnation: Incarnation;
  /** Its own, which it keeps. */
  readonly address: string;
  /** Those it may hold besides. */
  readonly endpointAddresses: readonly string[];
}

export type FenceOutcome = 'replica' | 'refuses-writes' | 'killed';

const answerLimitMs = 250;
const retryMs = 5;

/**
 * @param password of the service's user at the node. Returns when the node takes no more writes. Its endpoints' addresses
 *   are still on this host: the caller gives them up when another may have them.
 */
export async function fenceNode(node: FencedNode, password: string): Promise<FenceOutcome> {
  return takeWritesAway(node, password).catch(() => kill(node.incarnation));
}

async function takeWritesAway(node: FencedNode, password: string): Promise<FenceOutcome> {
  const deadlineMs = performance.now() + answerLimitMs;
  const connection = adminConnection(node.folder, password, { onReady() {}, onClose() {} });
  try {
    for (;;) {
      try {
        const [role] = (await connection.send([['ROLE']])) as [[string]];
        if (role[0] !== 'master') return 'replica';
        await connection.send([
          ['CONFIG', 'SET', 'min-replicas-to-write', writeFence],
          ['CONFIG', 'SET', 'bind', node.address],
          ['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'],
        ]);
        return 'refuses-writes';
      } catch (error) {
        if (performance.now() > deadlineMs) throw error;
        await sleep(retryMs);
      }
    }
  } finally {
    connection.close();
  }
}

async function kill(incarnation: Incarnation): Promise<FenceOutcome> {
  while (deathOf(incarnation) === undefined) {
    try {
      process.kill(incarnation.pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
    await sleep(retryMs);
  }
  return 'killed';
}
