/** Engines as the process table has them, independent of what the service believes. */
import { readdirSync, readFileSync } from 'node:fs';

export interface EngineProcess {
  readonly pid: number;
  /** The node's folder name, `shop-001.0001`. */
  readonly nodeId: string;
}

/** Every process, zombies excepted, with a node's folder below `dataDirectory` on its command line. */
export function engineProcesses(dataDirectory: string): EngineProcess[] {
  const prefix = `${dataDirectory}/nodes/`;
  const found: (EngineProcess & { readonly parent: number })[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      const mark = words.find((word) => word.startsWith(prefix));
      if (mark === undefined) continue;
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      found.push({ pid: Number(name), nodeId: mark.slice(prefix.length).split('/')[0]!, parent });
    } catch {
      // It ended while we looked.
    }
  }
  // An engine forks to send a replica its data: the same command line for a moment, and no second engine.
  return found
    .filter(({ parent }) => !found.some(({ pid }) => pid === parent))
    .map(({ pid, nodeId }) => ({ pid, nodeId }))
    .sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
}

export function endProcess(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
