/** An operation on a group that serves, watched by clients: how long it takes, and what they notice. */
import type { CreateReplicationGroupCommandInput } from '@aws-sdk/client-elasticache';
import type { ClientPlan } from '../../testing/cache-client.ts';
import { createGroup, groupAvailable } from '../../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../../testing/larder.ts';
import { wholeCopies, wholeCopiesSince } from '../../testing/whole-copies.ts';
import { nowMs, sleep } from '../monotonic.ts';
import { progress } from '../run-report.ts';
import { quantile } from '../statistics.ts';
import { startWorker } from '../worker-process.ts';
import type { LoadRecord, LoadStart, Verified } from './load-worker.ts';

type GroupInput = Partial<CreateReplicationGroupCommandInput>;

export interface Operation {
  /** For `--only`. */
  readonly name: string;
  readonly title: string;
  readonly group: GroupInput | (() => Promise<GroupInput>);
  readonly load: Pick<LoadStart, 'keys' | 'valueBytes' | 'operationsPerSecond'>;
  /** Returns when it is done and clients are no longer touched by it. */
  run(larder: TestLarder, group: string): Promise<void>;
  readonly limits: Limits;
}

export interface Limits {
  readonly tookMs?: number;
  /** Of the p99 before. */
  readonly p99Ratio?: number;
  readonly worstMs?: number;
}

export interface Figures {
  readonly tookMs: number;
  readonly operations: number;
  /** For the same time before it began. */
  readonly p99BeforeMs: number;
  readonly p99DuringMs: number;
  readonly worstDuringMs: number;
  readonly clientErrors: number;
  readonly wrongReads: number;
  /** Keys older than their last acknowledged write, or gone, in the end. */
  readonly lost: number;
  /** Of a node's data, for a replica that could not go on where it was. */
  readonly wholeCopies: number;
  readonly errors: Readonly<Record<string, number>>;
}

const groupId = 'operated';
const settleMs = 3_000;
/** Long enough for a p99 of a thousand operations a second that the next one agrees with. */
const beforeMs = 5_000;
const afterMs = 500;

export async function measure(operation: Operation, seed: number): Promise<Figures> {
  const { group, load, name } = operation;
  const input = typeof group === 'function' ? await group() : group;
  const larder = await startLarder();
  try {
    await createGroup(larder, groupId, input);
    const client = planOf(await groupAvailable(larder, groupId));
    const start: LoadStart = { ...load, client, seed };
    const worker = await startWorker({ file: 'bench/operate/load-worker.js', start });
    try {
      progress(`${name}: filling ${load.keys.toLocaleString('en-US')} keys`);
      await worker.call('fill');
      await worker.call('begin');
      await sleep(settleMs + beforeMs);
      progress(`${name}: ${operation.title}`);
      const copiesBefore = wholeCopies(larder);
      const begunMs = nowMs();
      await operation.run(larder, groupId);
      const endedMs = nowMs();
      await sleep(afterMs);
      const record = await worker.call<LoadRecord>('stop');
      const copies = wholeCopiesSince(larder, copiesBefore);
      const verified = await worker.call<Verified>('verify');
      return figuresOf(record, verified, copies, { begunMs, endedMs });
    } finally {
      await worker.kill();
    }
  } finally {
    await larder.remove();
  }
}

function planOf(group: Awaited<ReturnType<typeof groupAvailable>>): ClientPlan {
  const { Address, Port } = group.ConfigurationEndpoint ?? group.NodeGroups![0]!.PrimaryEndpoint!;
  const place = { host: Address!, port: Port! };
  return group.ConfigurationEndpoint === undefined
    ? { kind: 'ioredis', place }
    : { kind: 'ioredis-cluster', seeds: [place] };
}

/** (pure) */
export function figuresOf(
  { sentMs, tookMs, wrongReads, errors }: LoadRecord,
  { lost }: Verified,
  wholeCopies: number,
  { begunMs, endedMs }: { readonly begunMs: number; readonly endedMs: number },
): Figures {
  const latencies = (fromMs: number, toMs: number) =>
    tookMs.filter((_, index) => sentMs[index]! >= fromMs && sentMs[index]! < toMs).sort();
  const before = latencies(begunMs - beforeMs, begunMs);
  const during = latencies(begunMs, endedMs + afterMs);
  return {
    tookMs: endedMs - begunMs,
    operations: during.length,
    p99BeforeMs: quantile(before, 0.99),
    p99DuringMs: quantile(during, 0.99),
    worstDuringMs: quantile(during, 1),
    clientErrors: Object.values(errors).reduce((sum, each) => sum + each, 0),
    wrongReads,
    lost,
    wholeCopies,
    errors,
  };
}
