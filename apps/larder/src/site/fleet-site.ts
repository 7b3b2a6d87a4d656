/**
 * Hosts that joined: each runs an agent, the service runs no node itself. This is the controller's side: it knows its
 * members, holds their leases, and tells each what it has in charge.
 */
import type { Database } from '@larder/control/database/connect';
import type { JoinedHost } from '@larder/control/host/joined-host';
import { nodesOnHost, readHosts } from '@larder/control/host/store';
import type { NodePlaces } from '@larder/control/placement/node-places';
import { type FleetEndpoints, onFleet } from '@larder/control/placement/placement';
import type { Logger } from '@larder/control/reconciler/logger';
import { readReplicationGroupIds } from '@larder/control/replication-group/store';
import { controllerName } from '@larder/fleet/agent/agent-server';
import { machineMs } from '@larder/fleet/agent/guard';
import type { HostState } from '@larder/fleet/agent/remote-host';
import { openFleet } from '@larder/fleet/fleet';
import { fleetHost, fleetRouter } from '@larder/fleet/fleet-host';
import { fleetSentinel } from '@larder/fleet/fleet-sentinel';
import type { NodeCertificates } from '@larder/fleet/process-host';
import type { Authority } from '@larder/fleet/tls/authority';
import type { Site } from './site.ts';

export interface FleetSiteOptions {
  readonly database: Database;
  readonly places: NodePlaces;
  /** Of the fleet: what controllers and agents know each other by. */
  readonly authority: Authority;
  readonly certificates: NodeCertificates;
  /** The controller's term of leading. */
  readonly leader: number;
  readonly endpoints: FleetEndpoints;
  readonly logger: Logger;
}

export interface FleetSite extends Site {
  /** Reads anew who the members are. */
  refresh(): Promise<void>;
  stateOf(host: string): HostState;
  /** Of every member. */
  names(): readonly string[];
}

const controllerLifeMs = 365 * 24 * 3_600_000;

export async function fleetSite(options: FleetSiteOptions): Promise<FleetSite> {
  const { database, places, authority, logger } = options;
  const { certificatePem, keyPem } = await authority.issue({
    commonName: controllerName,
    addresses: [],
    dnsNames: [],
    lifeMs: controllerLifeMs,
  });
  const fleet = openFleet({
    credentials: { certificatePem, keyPem, authorityPem: authority.certificatePem },
    certificates: options.certificates,
    leader: options.leader,
    nowMs: machineMs,
    onNotice: (text) => logger.info({}, text),
  });
  let members: readonly JoinedHost[] = [];

  function tellCharges(): void {
    const urlOf = (name: string) => members.find((each) => each.name === name)?.url;
    for (const [name, host] of fleet.hosts) host.setCharge(places.chargeOf(name, urlOf));
  }

  async function refresh(): Promise<void> {
    members = await readHosts(database);
    fleet.setMembers(members);
    tellCharges();
    standInForLost();
  }

  /** What each host was last told to hold for others. */
  const standIns = new Map<string, string>();
  let standing: Promise<void> = Promise.resolve();

  /** One after the other: an address is given up before its own host announces it. */
  function standInForLost(): void {
    standing = standing.then(holdForLost).catch((error: Error) => {
      logger.warn({ error }, 'A lost host has no stand-in.');
    });
  }

  async function holdForLost(): Promise<void> {
    const lost = [...fleet.hosts].filter(([, { state }]) => state === 'fenced').map(([name]) => name);
    const [helper] = [...fleet.hosts].filter(([, { state }]) => state === 'connected').map(([name]) => name);
    const addresses = lost.flatMap((name) => places.addressesOn(name));
    for (const [name, host] of fleet.hosts) {
      if (host.state !== 'connected') {
        standIns.delete(name);
        continue;
      }
      const wanted = name === helper ? addresses : [];
      const text = JSON.stringify(wanted);
      if ((standIns.get(name) ?? '[]') === text) continue;
      await host.standIn(wanted);
      standIns.set(name, text);
    }
  }

  /** A host is back: nobody stands in for it any more, and its network hears where its addresses are. */
  function welcome(name: string): void {
    standing = standing
      .then(async () => {
        const host = fleet.hosts.get(name);
        if (host?.state === 'connected') await host.announce();
      })
      .catch((error: Error) => logger.warn({ host: name, error }, 'A host did not announce its addresses.'));
  }

  /** A host that was away may have nodes that were made anew elsewhere, or whose group is gone. */
  async function sweep(name: string): Promise<void> {
    const host = fleet.hosts.get(name);
    if (host?.state !== 'connected') return;
    // Asked for before the database is: a node is on record before it is started.
    const there = await host.nodeIds();
    const wanted = new Set(await nodesOnHost(database, name));
    for (const nodeId of there) {
      if (wanted.has(nodeId)) continue;
      logger.info({ host: name, nodeId }, 'The node stands elsewhere now, or nowhere; it is removed here.');
      await host.removeNode(nodeId);
    }
  }

  return {
    host: fleetHost(fleet, places),
    router: fleetRouter(fleet, places),
    sentinel: fleetSentinel({
      fleet,
      groups: () => readReplicationGroupIds(database),
      onProblem: (host, error) => logger.warn({ host, error }, 'Clients of Sentinel are told late there.'),
    }),
    placement: onFleet({
      isConnected: (name) => fleet.hosts.get(name)?.state === 'connected',
      connectedZones: () =>
        members.filter(({ name }) => fleet.hosts.get(name)?.state === 'connected').map(({ zone }) => zone),
      endpoints: options.endpoints,
    }),
    refresh,
    names: () => [...fleet.hosts.keys()],
    stateOf: (name) => fleet.hosts.get(name)?.state ?? 'unreachable',
    async begin(control) {
      places.onChange(tellCharges);
      fleet.onState((name) => {
        standInForLost();
        welcome(name);
        control.wakeHost(name);
        sweep(name).catch((error: Error) => logger.warn({ host: name, error }, 'A host was not swept.'));
      });
      await refresh();
    },
    close: () => fleet.close(),
  };
}
