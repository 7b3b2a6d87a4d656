/** What is read of a node once a second: everything its engine counts and what its process takes, as numbers with names. */
import { readFileSync } from 'node:fs';
import {
  type Counts,
  countInfo,
  countLatencies,
  countMemcached,
} from '@larder/engine/counters/engine-counts';
import { type AdminConnection, keepsAdminConnection } from './admin-connection.ts';
import { type Incarnation, NodeUnreachable } from './host.ts';
import type { OwnNode } from './observe-node.ts';
import type { StatFile } from './process-table.ts';

export interface NodeReading {
  /** By the host's clock: two readings of one host tell the time between them. */
  readonly atMs: number;
  /** Names one run of the engine: what it counts began with it. */
  readonly run: string;
  /** Names one run of the service or agent beside it: `own_connections_opened` began with it. */
  readonly watch: string;
  /**
   * `EngineCounts` and: `process_resident_bytes`, `process_swap_bytes`, `process_major_faults`; `own_connections`, those of
   * the engine's clients that are ours, and `own_connections_opened`; `reading_cost_ms`, what this reading took of the host's processor.
   */
  readonly counts: Counts;
}

/**
 * Waits at most half a second. Nodes are missing whose engine does not run, does not answer or loads its data.
 * @param watch of this run of the service or agent.
 */
export async function readNodes(
  nodes: readonly OwnNode[],
  watch: string,
  onProblem: (error: Error) => void,
): Promise<Map<string, NodeReading>> {
  const seen = new Map<string, NodeReading>();
  await Promise.all(
    nodes.map(async (node) => {
      if (node.process.kind !== 'running' || node.process.hang !== undefined) return;
      const reading = await readNode(node, node.process.incarnation, watch, onProblem);
      if (reading !== undefined) seen.set(node.spec.nodeId, reading);
    }),
  );
  return seen;
}

async function readNode(
  { spec, admin, stats, stat, own }: OwnNode,
  incarnation: Incarnation,
  watch: string,
  onProblem: (error: Error) => void,
): Promise<NodeReading | undefined> {
  try {
    const seen = keepsAdminConnection(spec.settings.engine)
      ? await askEngine(admin)
      : countMemcached((await stats?.ask()) ?? '');
    if (seen === undefined) return undefined;
    const { counts, run } = seen;
    const atMs = Date.now();
    const begunMs = performance.now();
    if (!readProcess(incarnation, stat, counts)) return undefined;
    counts.reading_cost_ms = (counts.reading_cost_ms ?? 0) + performance.now() - begunMs;
    counts.own_connections = own.open;
    counts.own_connections_opened = own.opened;
    return { atMs, run: `${run}/${incarnation.startTicks}`, watch, counts };
  } catch (error) {
    if (!(error instanceof NodeUnreachable) && !isLoading(error as Error)) onProblem(error as Error);
    return undefined;
  }
}

/** What every reading costs the engine: two commands in one write. */
const questions = [
  ['INFO', 'everything'],
  ['LATENCY', 'HISTOGRAM'],
];

async function askEngine(admin: AdminConnection | undefined) {
  if (admin === undefined) return undefined;
  const [info, histogram] = await admin.send(questions);
  const begunMs = performance.now();
  const seen = countInfo(String(info));
  // What is loading has neither all of its data nor any clients.
  if (seen === undefined || seen.counts.loading === 1) return undefined;
  Object.assign(seen.counts, countLatencies(histogram));
  seen.counts.reading_cost_ms = performance.now() - begunMs;
  return seen;
}

/** The kernel's figures. False: the process is over. */
function readProcess(incarnation: Incarnation, stat: StatFile | undefined, counts: Counts): boolean {
  const seen = stat?.read();
  if (seen?.startTicks !== incarnation.startTicks) return false;
  try {
    const status = readFileSync(`/proc/${incarnation.pid}/status`, 'latin1');
    counts.process_resident_bytes = kibibytes(status, 'VmRSS');
    counts.process_swap_bytes = kibibytes(status, 'VmSwap');
    counts.process_major_faults = seen.majorFaults;
    return true;
  } catch {
    return false;
  }
}

/** A line such as `VmRSS:	   14160 kB`, in bytes. */
function kibibytes(status: string, name: string): number {
  const at = status.indexOf(`${name}:`);
  return at < 0 ? 0 : Number.parseInt(status.slice(at + name.length + 1, at + name.length + 32), 10) * 1024;
}

function isLoading({ message }: Error): boolean {
  return /^(?:LOADING|MASTERDOWN|BUSY)/.test(message);
}

/** As it goes from host to host: each name once, the numbers of a node in the names' order. */
export interface ReadingsOnWire {
  readonly names: readonly string[];
  readonly nodes: readonly (readonly [
    nodeId: string,
    atMs: number,
    run: string,
    watch: string,
    counts: readonly (number | null)[],
  ])[];
}

export function encodeReadings(readings: ReadonlyMap<string, NodeReading>): ReadingsOnWire {
  const names = [...new Set([...readings.values()].flatMap(({ counts }) => Object.keys(counts)))];
  return {
    names,
    nodes: [...readings].map(([nodeId, { atMs, run, watch, counts }]) => {
      return [nodeId, atMs, run, watch, names.map((name) => counts[name] ?? null)];
    }),
  };
}

export function decodeReadings({ names, nodes }: ReadingsOnWire): Map<string, NodeReading> {
  return new Map(
    nodes.map(([nodeId, atMs, run, watch, values]) => {
      const counts: Counts = {};
      names.forEach((name, index) => {
        const value = values[index];
        if (typeof value === 'number') counts[name] = value;
      });
      return [nodeId, { atMs, run, watch, counts }];
    }),
  );
}
