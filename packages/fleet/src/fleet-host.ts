/** Several hosts as one: what is done to a node goes to the host it stands on. */
import type { RemoteHost } from './agent/remote-host.ts';
import type { Fleet } from './fleet.ts';
import {
  type Host,
  type NodeObservation,
  NodeUnreachable,
  SnapshotDamaged,
  type SnapshotFile,
} from './host.ts';
import { type Route, type RouteTable, targetsOf } from './router/route-table.ts';
import type { RouterClient } from './router/router-client.ts';

export interface Places {
  /** The name of the host that a node stands on. */
  readonly hostOfNode: (nodeId: string) => string | undefined;
  /** The name of the host where a node's own address is. */
  readonly hostOfAddress: (address: string) => string | undefined;
}

/** Closing the fleet is the caller's. */
export function fleetHost(fleet: Fleet, { hostOfNode }: Pick<Places, 'hostOfNode'>): Host {
  const { hosts } = fleet;

  /** @throws NodeUnreachable */
  function at(nodeId: string): RemoteHost {
    const name = hostOfNode(nodeId);
    const host = name === undefined ? undefined : hosts.get(name);
    if (host === undefined) {
      throw new NodeUnreachable(
        `Node ${nodeId} stands on host ${name ?? 'unknown'}, which is not in the fleet.`,
      );
    }
    return host;
  }

  async function byHost<T>(
    nodeIds: readonly string[],
    ask: (host: RemoteHost, ids: readonly string[]) => Promise<ReadonlyMap<string, T>>,
    missing: (nodeId: string, host: string) => readonly (readonly [string, T])[],
  ): Promise<Map<string, T>> {
    const groups = new Map<string, string[]>();
    for (const nodeId of nodeIds) {
      const name = hostOfNode(nodeId) ?? '';
      groups.set(name, [...(groups.get(name) ?? []), nodeId]);
    }
    const answers = await Promise.all(
      [...groups].map(async ([name, ids]) => {
        const host = hosts.get(name);
        return host === undefined ? ids.flatMap((id) => missing(id, name)) : [...(await ask(host, ids))];
      }),
    );
    return new Map(answers.flat());
  }

  /** @throws NodeUnreachable when one can't be asked: what it has is not known. */
  async function everywhere(work: (host: RemoteHost) => Promise<void>): Promise<void> {
    for (const host of hosts.values()) await work(host);
  }

  /** A shard's file is on the host that saved it. @throws SnapshotDamaged when no host has it whole; NodeUnreachable */
  async function whoeverHas<T>(file: SnapshotFile, work: (host: RemoteHost) => Promise<T>): Promise<T> {
    let failure: Error = new SnapshotDamaged(
      `No host has the file of shard ${file.shard} of snapshot ${file.snapshot}.`,
    );
    for (const host of hosts.values()) {
      try {
        return await work(host);
      } catch (error) {
        const elsewhere = error instanceof SnapshotDamaged || error instanceof NodeUnreachable;
        if (!elsewhere) throw error;
        // One that can't be asked may have it.
        if (!(failure instanceof NodeUnreachable)) failure = error;
      }
    }
    throw failure;
  }

  return {
    id: 'fleet',
    get mostConnections() {
      return Math.min(...[...hosts.values()].map(({ mostConnections }) => mostConnections));
    },
    observe: (nodeIds) =>
      byHost<NodeObservation>(
        nodeIds,
        (host, ids) => host.observe(ids),
        (nodeId, host) => [[nodeId, { nodeId, process: { kind: 'unreachable', host } }]],
      ),
    readSettings: (nodeIds) =>
      byHost(
        nodeIds,
        (host, ids) => host.readSettings(ids),
        () => [],
      ),
    readings: (nodeIds) =>
      byHost(
        nodeIds,
        (host, ids) => host.readings(ids),
        () => [],
      ),
    startNode: async (spec, data) => at(spec.nodeId).startNode(spec, data),
    keepData: async (nodeId, ...rest) => at(nodeId).keepData(nodeId, ...rest),
    stopNode: async (nodeId, ...rest) => at(nodeId).stopNode(nodeId, ...rest),
    killNode: async (nodeId, ...rest) => at(nodeId).killNode(nodeId, ...rest),
    listen: async (nodeId, ...rest) => at(nodeId).listen(nodeId, ...rest),
    removeNode: async (nodeId) => at(nodeId).removeNode(nodeId),
    command: async (nodeId, ...rest) => at(nodeId).command(nodeId, ...rest),
    moveKeys: async (nodeId, ...rest) => at(nodeId).moveKeys(nodeId, ...rest),
    setUsers: async (nodeId, ...rest) => at(nodeId).setUsers(nodeId, ...rest),
    setPorts: async (nodeId, ...rest) => at(nodeId).setPorts(nodeId, ...rest),
    renewCertificate: async (nodeId, ...rest) => at(nodeId).renewCertificate(nodeId, ...rest),
    saveSnapshot: async (nodeId, ...rest) => at(nodeId).saveSnapshot(nodeId, ...rest),
    async copySnapshot(from, to) {
      let copies = 0;
      await everywhere((host) =>
        host.copySnapshot(from, to).then(
          () => {
            copies += 1;
          },
          (error: Error) => {
            if (!(error instanceof SnapshotDamaged)) throw error;
          },
        ),
      );
      if (copies === 0) throw new SnapshotDamaged(`No host has the files of snapshot ${from}.`);
    },
    removeSnapshot: (name) => everywhere((host) => host.removeSnapshot(name)),
    exportSnapshot: (file, ...rest) => whoeverHas(file, (host) => host.exportSnapshot(file, ...rest)),
    abandonExport: (...args) => everywhere((host) => host.abandonExport(...args)),
    importSnapshot: async (nodeId, ...rest) => at(nodeId).importSnapshot(nodeId, ...rest),
    rehearseSnapshot: (file, ...rest) => whoeverHas(file, (host) => host.rehearseSnapshot(file, ...rest)),
    readLog: async (source, target, position) => at(source.nodeId).readLog(source, target, position),
    deliverLogs: async (source, targets) => at(source.nodeId).deliverLogs(source, targets),
    certificateFiles: (nodeId) => at(nodeId).certificateFiles(nodeId),
    isAddressFree: async () => true,
    onChange: fleet.onChange,
    async close() {},
  };
}

/** The routers of several hosts as one: each serves the routes of the addresses that are on its host. */
export function fleetRouter(
  { hosts }: Pick<Fleet, 'hosts'>,
  { hostOfAddress }: Pick<Places, 'hostOfAddress'>,
): Pick<RouterClient, 'put' | 'ready' | 'recorded' | 'routes'> {
  /** An endpoint is where the first of those is that it leads to. */
  function hostOfRoute(route: Route): string | undefined {
    return [route.listen, ...targetsOf(route)]
      .map(({ address }) => hostOfAddress(address))
      .find((host) => host !== undefined);
  }

  return {
    // Each host starts its own when it has routes, and only it knows them.
    async ready() {},
    recorded: () => [],
    async routes() {
      const tables = new Map<string, RouteTable>();
      for (const host of hosts.values()) {
        if (host.state !== 'connected') continue;
        for (const [owner, { epoch, routes }] of await host.routes()) {
          const before = tables.get(owner);
          tables.set(owner, {
            epoch: Math.max(epoch, before?.epoch ?? 0),
            routes: [...(before?.routes ?? []), ...routes],
          });
        }
      }
      return tables;
    },
    async put(owner, epoch, routes) {
      for (const [name, host] of hosts) {
        // One that comes back is told by the pass that its return wakes; until then its engines are fenced.
        if (host.state !== 'connected') continue;
        const own = routes.filter((route) => hostOfRoute(route) === name);
        await host.putRoutes(owner, epoch, own);
      }
    },
  };
}
