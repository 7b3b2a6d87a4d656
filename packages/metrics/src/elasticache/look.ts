/** (pure) What a metric is made of: a node as it is now, and what it counted since the look before. */
import type { Counts } from '@larder/engine/counters/engine-counts';
import type { NodeCount } from './node-count.ts';

/** What is known of a node besides what it counts. */
export interface NodeFacts {
  readonly engine: 'valkey' | 'redis' | 'memcached';
  /** Of its node type. */
  readonly vcpus: number;
  readonly memoryBytes: number;
  /** Of the network, by its node type. */
  readonly baselineBytesPerSecond: number;
  /** A replica's: how far it is behind its primary. */
  readonly replicationLagSeconds?: number | undefined;
}

/** The most that was counted within one second of the period. */
export interface Bursts {
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly packetsIn: number;
  readonly packetsOut: number;
}

export interface Look {
  readonly facts: NodeFacts;
  readonly seconds: number | undefined;
  readonly bursts: Bursts | undefined;
  /** As it stands; undefined when this engine does not say it. */
  now(name: string): number | undefined;
  /** By how much it rose; undefined at a first look, and when this engine does not count it. */
  rise(name: string): number | undefined;
  /** As that, for what an engine says nothing of until it is more than 0. */
  riseFromZero(name: string): number | undefined;
  /** Names of what rose and begins so, without that. */
  riseOf(prefix: string): readonly (readonly [name: string, rise: number])[];
}

export interface LookOptions {
  /** Undefined: what rose is not known. */
  readonly before: NodeCount | undefined;
  readonly count: NodeCount;
  readonly facts: NodeFacts;
  readonly bursts?: Bursts | undefined;
}

export function lookAt({ before, count, facts, bursts }: LookOptions): Look {
  const { totals, counts } = count;
  const last: Counts | undefined = before?.totals;
  const elapsedMs = before === undefined ? 0 : count.atMs - before.atMs;
  function rise(name: string): number | undefined {
    const total = totals[name];
    return last === undefined || total === undefined ? undefined : total - (last[name] ?? 0);
  }
  return {
    facts,
    bursts,
    seconds: elapsedMs > 0 ? elapsedMs / 1_000 : undefined,
    now: (name) => counts[name],
    rise,
    riseFromZero: (name) => (last === undefined ? undefined : (rise(name) ?? 0)),
    riseOf(prefix) {
      if (last === undefined) return [];
      const found: [string, number][] = [];
      for (const name in totals) {
        if (!name.startsWith(prefix)) continue;
        const rose = totals[name]! - (last[name] ?? 0);
        if (rose > 0) found.push([name.slice(prefix.length), rose]);
      }
      return found;
    },
  };
}
