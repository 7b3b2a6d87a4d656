/** `larder alarms ls|recommend`. */
import type { ShownAlarm } from '@larder/control/alarm/cloudwatch';
import { askOperator } from '../site/operator-socket.ts';

export async function listAlarms(dataDirectory: string, json: boolean): Promise<void> {
  const found = (await askOperator(dataDirectory, 'GET', '/alarms')) as readonly ShownAlarm[];
  if (json) return void process.stdout.write(`${JSON.stringify(found)}\n`);
  if (found.length === 0) process.stdout.write('There are no alarms.\n');
  for (const { name, state, since, reason } of found) {
    process.stdout.write(`${state.padEnd(17)} ${name}  since ${since}\n  ${reason}\n`);
  }
}

export async function recommendAlarms(
  dataDirectory: string,
  id: string,
  { topic, json }: { readonly topic: string | undefined; readonly json: boolean },
): Promise<void> {
  const asked = new URLSearchParams({ id, ...(topic !== undefined && { topic }) });
  const path = `/recommended-alarms?${asked}`;
  const names = (await askOperator(dataDirectory, 'POST', path)) as readonly string[];
  process.stdout.write(json ? `${JSON.stringify(names)}\n` : names.map((name) => `${name}\n`).join(''));
}
