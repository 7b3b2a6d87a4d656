/** `larder snapshots drill`. */
import type { DrillResult } from '@larder/control/restore-drill/due';
import { askOperator } from '../site/operator-socket.ts';

/** Many snapshots, one after the other. */
const drillLimitMs = 6 * 3_600_000;

/** Prints what each drill found. The exit code is 1 when one failed; one that was skipped says nothing about the data. */
export async function drillSnapshots(
  dataDirectory: string,
  id: string | undefined,
  json: boolean,
): Promise<void> {
  const path = `/restore-drills${id === undefined ? '' : `?id=${encodeURIComponent(id)}`}`;
  const results = (await askOperator(
    dataDirectory,
    'POST',
    path,
    drillLimitMs,
  )) as unknown as readonly DrillResult[];
  if (results.some(({ outcome }) => outcome === 'failed')) process.exitCode = 1;
  if (json) return void process.stdout.write(`${JSON.stringify(results)}\n`);
  if (results.length === 0) process.stdout.write('There is no snapshot to load.\n');
  for (const { origin, snapshot, outcome, keysFound, tookMs, because } of results) {
    const what = because ?? `${keysFound} keys in ${tookMs} ms`;
    process.stdout.write(`${origin.id.padEnd(24)} ${outcome.padEnd(8)} ${snapshot}  ${what}\n`);
  }
}
