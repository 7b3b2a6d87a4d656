/**
 * A process of its own that asks every node, by the node's own address, whether it takes writes now. It asks by
 * deleting a key that nobody has: the engine lets it pass or refuses it like any other write (READONLY, NOREPLICAS,
 * MOVED, held by CLIENT PAUSE), and nothing is changed by it. What a node says of its role would not tell as much: a
 * fenced primary calls itself a primary.
 */
import { Redis } from 'ioredis';
import { nowMs } from '../../bench/monotonic.ts';
import { serve } from '../../bench/worker-service.ts';
import type { Probe } from './history.ts';

export interface SampledNode {
  readonly name: string;
  readonly shard: number;
  readonly host: string;
  readonly port: number;
  /** A hash tag of the node's shard. */
  readonly tag: string;
}

export interface SamplerRecord {
  readonly probes: readonly Probe[];
  /** Full synchronisations that the nodes served since the start, over all their processes. */
  readonly fullSyncs: number;
}

const sampleMs = 20;
const countMs = 200;

serve<{ readonly nodes: readonly SampledNode[] }>(async ({ nodes }) => {
  const probes: Probe[] = [];
  const fullSyncs = fullSyncCounter();
  const watched = nodes.map((node) => {
    const client = new Redis({
      host: node.host,
      port: node.port,
      retryStrategy: () => 10,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
    });
    client.on('error', () => {});
    const key = `{${node.tag}}nobody-has-this-key`;
    let asking = false;
    const ask = async () => {
      if (asking || client.status !== 'ready') return;
      asking = true;
      const sentMs = nowMs();
      const accepted = await client.del(key).then(
        () => true,
        () => false,
      );
      asking = false;
      probes.push({ node: node.name, shard: node.shard, sentMs, answeredMs: nowMs(), accepted });
    };
    const count = async () => {
      if (client.status === 'ready') fullSyncs.see(await client.info('everything').catch(() => ''));
    };
    return { client, ask, count };
  });
  const connected = Promise.all(
    watched.map(({ client }) => new Promise((resolve) => client.once('ready', resolve))),
  );
  await connected;
  await Promise.all(watched.map(({ count }) => count()));
  fullSyncs.begin();
  const timers = [
    setInterval(() => {
      for (const { ask } of watched) void ask();
    }, sampleMs),
    setInterval(() => {
      for (const { count } of watched) void count();
    }, countMs),
  ];
  return {
    /** The node that first took a write after `sinceMs`, other than `than`. */
    successor: ({ shard, than, sinceMs }: { shard: number; than: string; sinceMs: number }) =>
      probes.find(
        (probe) =>
          probe.accepted && probe.shard === shard && probe.node !== than && probe.answeredMs > sinceMs,
      )?.node,
    async stop(): Promise<SamplerRecord> {
      for (const timer of timers) clearInterval(timer);
      await Promise.all(watched.map(({ count }) => count()));
      for (const { client } of watched) client.disconnect();
      return { probes, fullSyncs: fullSyncs.total() };
    },
  };
});

/** Counters begin anew with each process, which its run id tells. */
function fullSyncCounter() {
  const seen = new Map<string, { first: number; last: number }>();
  let begun = false;
  return {
    see(info: string): void {
      const run = /^run_id:(\S+)/m.exec(info)?.[1];
      const count = Number(/^sync_full:(\d+)/m.exec(info)?.[1]);
      if (run === undefined || Number.isNaN(count)) return;
      const known = seen.get(run);
      if (known === undefined) seen.set(run, { first: begun ? 0 : count, last: count });
      else known.last = Math.max(known.last, count);
    },
    begin: () => {
      begun = true;
    },
    total: () => [...seen.values()].reduce((sum, { first, last }) => sum + last - first, 0),
  };
}
