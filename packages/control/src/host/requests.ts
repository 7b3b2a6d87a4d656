/** What an operator asks of the fleet: who is in it, and who is to go. */
import type { HostState } from '@larder/fleet/agent/remote-host';
import type { JoinedHost } from './joined-host.ts';
import { type RelocateContext, relocateNodes } from './relocate.ts';
import { deleteHost, nodesOnHost, readHosts, setLeaving } from './store.ts';

export interface HostsContext extends RelocateContext {
  readonly stateOf: (host: string) => HostState;
  /** Called after the members have changed. */
  readonly refresh: () => Promise<void>;
}

export class HostRefused extends Error {
  override name = 'HostRefused';
}

export interface ShownHost extends JoinedHost {
  readonly state: HostState;
  readonly nodes: number;
}

export async function listHosts({ database, stateOf }: HostsContext): Promise<ShownHost[]> {
  const hosts = await readHosts(database);
  return Promise.all(
    hosts.map(async (host) => ({
      ...host,
      state: stateOf(host.name),
      nodes: (await nodesOnHost(database, host.name)).length,
    })),
  );
}

/**
 * Takes a host out. One with nodes only when it is `lost`, and its lease has run out: they are made anew elsewhere, and
 * what only they had is gone.
 * @returns the cache clusters whose nodes have new places. @throws HostRefused with what to do next.
 */
export async function removeHost(context: HostsContext, name: string, lost: boolean): Promise<string[]> {
  const { database } = context;
  const host = (await readHosts(database)).find((each) => each.name === name);
  if (host === undefined) throw new HostRefused(`There is no host ${name}; "larder hosts ls" lists them.`);
  const nodes = await nodesOnHost(database, name);
  if (nodes.length > 0 && !lost) {
    await database.transaction().execute((transaction) => setLeaving(transaction, name));
    throw new HostRefused(
      `Host ${name} has ${nodes.length} nodes, ${nodes[0]} among them. No more are placed there now. Move them with ` +
        'IncreaseReplicaCount and DecreaseReplicaCount, or say --lost when the machine is gone for good.',
    );
  }
  const state = context.stateOf(name);
  if (nodes.length > 0 && state !== 'fenced') {
    throw new HostRefused(
      `Host ${name} is ${state}: its nodes may take writes. Stop its agent and its nodes, or wait some seconds until its lease has run out.`,
    );
  }
  await database.transaction().execute((transaction) => setLeaving(transaction, name));
  const moved = nodes.length > 0 ? await relocateNodes(context, name, 'all') : [];
  await database.transaction().execute((transaction) => deleteHost(transaction, name));
  await context.refresh();
  return moved;
}
