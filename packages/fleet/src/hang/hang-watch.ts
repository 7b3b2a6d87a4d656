/** The host's side of the thread that asks engines whether they live. */
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import type { Incarnation } from '../host.ts';
import type { ProbeTarget } from './probe.ts';
import type { FromProber, HungNodes, ToProber } from './prober-thread.ts';

export interface HangWatch {
  /** In the place of an earlier run of the node. */
  watch(target: ProbeTarget): void;
  forget(nodeId: string): void;
  close(): Promise<void>;
}

const restartMs = 1_000;

export interface HangWatchOptions {
  /** Called while any node hangs, about five times a second, with all that do; and once more when none does. */
  readonly onHung: (hung: HungNodes) => void;
  /** Called when the thread opened a connection to a node (1), and when one of its ended (-1). */
  readonly onConnection: (incarnation: Incarnation, change: 1 | -1) => void;
  readonly onProblem: (error: Error) => void;
}

export function hangWatch({ onHung, onConnection, onProblem }: HangWatchOptions): HangWatch {
  const targets = new Map<string, ProbeTarget>();
  let closed = false;
  let worker = begin();

  function begin(): Worker {
    // By the package's name: a thread runs what was built, also when its host runs from the sources.
    const file = createRequire(import.meta.url).resolve('@larder/fleet/hang/prober-thread');
    const started = new Worker(file, { name: 'prober' });
    started.unref();
    started.on('message', (message: FromProber) => {
      if (message.kind === 'hung') onHung(message.hung);
      else onConnection(message.incarnation, message.change);
    });
    started.on('error', onProblem);
    started.once('exit', () => {
      if (closed) return;
      onHung([]);
      setTimeout(() => {
        if (closed) return;
        worker = begin();
        for (const target of targets.values()) tell({ kind: 'watch', target });
      }, restartMs).unref();
    });
    return started;
  }

  const tell = (message: ToProber) => worker.postMessage(message);

  return {
    watch(target) {
      targets.set(target.nodeId, target);
      tell({ kind: 'watch', target });
    },
    forget(nodeId) {
      if (targets.delete(nodeId)) tell({ kind: 'forget', nodeId });
    },
    async close() {
      closed = true;
      await worker.terminate();
    },
  };
}
