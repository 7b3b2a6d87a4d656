/** `larder hosts ls|token|rm`. */
import type { ShownHost } from '@larder/control/host/requests';
import { askOperator } from '../site/operator-socket.ts';

export async function listFleet(dataDirectory: string, json: boolean): Promise<void> {
  const hosts = (await askOperator(dataDirectory, 'GET', '/hosts')) as readonly ShownHost[];
  if (json) return void process.stdout.write(`${JSON.stringify(hosts)}\n`);
  if (hosts.length === 0) {
    process.stdout.write(
      'No host has joined. Make a token with "larder hosts token" and run "larder agent" on a machine.\n',
    );
  }
  for (const { name, zone, state, nodes, leaving, url } of hosts) {
    const count = `${nodes} ${nodes === 1 ? 'node' : 'nodes'}`;
    const note = leaving ? '  (leaving)' : '';
    process.stdout.write(
      `${name.padEnd(16)} ${zone.padEnd(12)} ${state.padEnd(12)} ${count.padEnd(10)} ${url}${note}\n`,
    );
  }
}

/** Prints a token, this once. */
export async function makeToken(dataDirectory: string, json: boolean): Promise<void> {
  const { token } = (await askOperator(dataDirectory, 'POST', '/join-tokens')) as { token: string };
  process.stdout.write(
    json
      ? `${JSON.stringify({ token })}\n`
      : `${token}\nGood once, for an hour: larder agent --join https://… --token …\n`,
  );
}

export async function removeFromFleet(
  dataDirectory: string,
  name: string,
  { lost, json }: { readonly lost: boolean; readonly json: boolean },
): Promise<void> {
  const path = `/hosts/${encodeURIComponent(name)}${lost ? '?lost' : ''}`;
  const { moved } = (await askOperator(dataDirectory, 'DELETE', path)) as { moved: readonly string[] };
  if (json) return void process.stdout.write(`${JSON.stringify({ removed: name, moved })}\n`);
  process.stdout.write(`Host ${name} is no longer in the fleet.\n`);
  for (const cluster of moved) process.stdout.write(`  ${cluster} is made anew on another host\n`);
}
