/**
 * The thread that asks every engine whether it lives. In a thread of its own, since a busy service would neither ask in
 * time nor read the answers in time, and would take its own delay for theirs.
 */
import { parentPort } from 'node:worker_threads';
import type { Hang, Incarnation } from '../host.ts';
import { readMainThread } from '../process-table.ts';
import { probePeriodMs } from './limits.ts';
import { type Probe, type ProbeTarget, probe } from './probe.ts';
import { type Look, silences } from './silence.ts';

export type ToProber =
  | { readonly kind: 'watch'; readonly target: ProbeTarget }
  | { readonly kind: 'forget'; readonly nodeId: string };

/** Every node that hangs now. */
export type FromProber = readonly {
  readonly nodeId: string;
  readonly incarnation: Incarnation;
  readonly hang: Hang;
}[];

const now = () => performance.now();
const watched = new Map<string, { readonly target: ProbeTarget; readonly probe: Probe }>();
const judge = silences(now());
let toldOfSome = false;

function forget(nodeId: string): void {
  watched.get(nodeId)?.probe.close();
  watched.delete(nodeId);
}

function look(target: ProbeTarget, { unansweredSinceMs, unkillableSinceMs, proven }: Probe): Look {
  const stat = unansweredSinceMs === undefined ? undefined : readMainThread(target.incarnation);
  return {
    nodeId: target.nodeId,
    unansweredSinceMs,
    proven,
    singleThreaded: target.place.kind !== 'memcached',
    ...(unkillableSinceMs !== undefined && { unkillableSinceMs }),
    ...(stat !== undefined && { sample: { atMs: now(), state: stat.state, cpuMs: stat.cpuMs } }),
  };
}

function round(): void {
  const hung = judge.round(
    now(),
    [...watched.values()].map((each) => look(each.target, each.probe)),
  );
  if (hung.size > 0 || toldOfSome) {
    const told: FromProber = [...hung].map(([nodeId, hang]) => ({
      nodeId,
      incarnation: watched.get(nodeId)!.target.incarnation,
      hang,
    }));
    parentPort!.postMessage(told);
  }
  toldOfSome = hung.size > 0;
  for (const each of watched.values()) each.probe.ask(now());
}

parentPort!.on('message', (message: ToProber) => {
  if (message.kind === 'forget') return forget(message.nodeId);
  const { target } = message;
  forget(target.nodeId);
  watched.set(target.nodeId, { target, probe: probe(target, now) });
});
// Answers that are here already are read before anybody is judged.
setInterval(() => setImmediate(round), probePeriodMs);
