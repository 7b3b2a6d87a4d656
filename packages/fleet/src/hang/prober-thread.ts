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
export type HungNodes = readonly {
  readonly nodeId: string;
  readonly incarnation: Incarnation;
  readonly hang: Hang;
}[];

export type FromProber =
  | { readonly kind: 'hung'; readonly hung: HungNodes }
  /** It opened a connection to the node (1), or one of its ended (-1). */
  | { readonly kind: 'connection'; readonly incarnation: Incarnation; readonly change: 1 | -1 };

const now = () => performance.now();
const watched = new Map<string, { readonly target: ProbeTarget; readonly probe: Probe }>();
const judge = silences(now());
let toldOfSome = false;

const tell = (message: FromProber) => parentPort!.postMessage(message);

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
    const told: HungNodes = [...hung].map(([nodeId, hang]) => ({
      nodeId,
      incarnation: watched.get(nodeId)!.target.incarnation,
      hang,
    }));
    tell({ kind: 'hung', hung: told });
  }
  toldOfSome = hung.size > 0;
  for (const each of watched.values()) each.probe.ask(now());
}

parentPort!.on('message', (message: ToProber) => {
  if (message.kind === 'forget') return forget(message.nodeId);
  const { target } = message;
  forget(target.nodeId);
  const { incarnation } = target;
  const onConnection = (change: 1 | -1) => tell({ kind: 'connection', incarnation, change });
  watched.set(target.nodeId, { target, probe: probe(target, now, onConnection) });
});
// Answers that are here already are read before anybody is judged.
setInterval(() => setImmediate(round), probePeriodMs);
