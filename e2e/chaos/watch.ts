/** The parent's end of the processes that write, read and look during one repetition. */
import { startWorker, type WorkerProcess } from '../../bench/worker-process.ts';
import type { History } from './history.ts';
import type { SampledNode, SamplerRecord } from './sampler-worker.ts';
import type { Stage, StageNode } from './stage.ts';
import type { Missing, TrafficProgress, TrafficRecord, TrafficStart } from './traffic-worker.ts';

export interface Watch {
  progress(): Promise<TrafficProgress>;
  /** The name of the node of the victim's shard that took a write after `sinceMs`, other than the old primary. */
  successor(sinceMs: number): Promise<string | undefined>;
  /** Ends the traffic and reads all of it again. @param besideAckedMs see `History`. */
  end(faultMs: number, besideAckedMs: readonly number[]): Promise<History>;
  /** Safe to repeat. */
  close(): Promise<void>;
}

let counter = 0;

/** @param writesPerSecond over all shards */
export async function startWatch(
  { client, tags, nodes, clientPrefix = [] }: Stage,
  primary: StageNode,
  writesPerSecond: number,
): Promise<Watch> {
  counter += 1;
  const victim = { shard: primary.shard, primary: primary.name };
  const sampled = nodes.map(
    ({ name, shard, host, port }): SampledNode => ({ name, shard, host, port, tag: tags[shard]! }),
  );
  const start: TrafficStart = {
    client,
    prefix: `chaos:${counter}`,
    tags,
    writesPerSecond,
    primary: { host: primary.host, port: primary.port },
  };
  const opened: WorkerProcess[] = [];
  const close = async () => {
    await Promise.all(opened.map((each) => each.kill()));
  };
  const open = async (file: string, value: unknown) => {
    const worker = await startWorker({ file: `e2e/chaos/${file}`, start: value, prefix: clientPrefix });
    opened.push(worker);
    return worker;
  };
  try {
    const sampler = await open('sampler-worker.js', { nodes: sampled });
    const traffic = await open('traffic-worker.js', start);
    return {
      progress: () => traffic.call('progress'),
      successor: (sinceMs) =>
        sampler.call('successor', { shard: victim.shard, than: victim.primary, sinceMs }),
      async end(faultMs, besideAckedMs) {
        const record = await traffic.call<TrafficRecord>('stop');
        const { probes, fullSyncs } = await sampler.call<SamplerRecord>('stop');
        const missing = await traffic.call<Missing>('missing');
        const { answeredMs, ...reads } = record.reads;
        return {
          faultMs,
          endedMs: record.endedMs,
          victim,
          writes: record.writes,
          clinging: record.clinging,
          besideAckedMs,
          missing,
          probes,
          reads: { ...reads, gapMs: longestGapAfter(answeredMs, faultMs) },
          fullSyncs,
          errors: record.errors,
        };
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function longestGapAfter(times: readonly number[], sinceMs: number): number {
  let longest = 0;
  for (let index = 1; index < times.length; index += 1) {
    if (times[index]! > sinceMs) longest = Math.max(longest, times[index]! - times[index - 1]!);
  }
  return longest;
}
