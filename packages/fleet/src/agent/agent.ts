/** The agent of one host, put together: its processes, its router, its lease and its door. */
import { join } from 'node:path';
import { type EpochFence, epochFence } from '../epoch-fence.ts';
import { nodeSecrets } from '../node-secrets.ts';
import { type ProcessHostOptions, processHost } from '../process-host.ts';
import { type Route, targetsOf } from '../router/route-table.ts';
import type { RouterClient } from '../router/router-client.ts';
import { type AgentClient, agentClient } from './agent-client.ts';
import { agentServer, givenCertificates } from './agent-server.ts';
import { chargeStore } from './charge-store.ts';
import { fenceNode } from './fence-node.ts';
import { machineMs } from './guard.ts';
import { type HostLease, hostLease, type Peer } from './host-lease.ts';
import type { Membership } from './membership.ts';
import { type HostNetwork, interfaceAddresses, standingAddresses } from './network.ts';
import { standIn } from './stand-in.ts';

export interface AgentOptions {
  readonly directory: string;
  readonly membership: Membership;
  readonly findBuild: ProcessHostOptions['findBuild'];
  readonly router: Pick<RouterClient, 'put' | 'routes'>;
  /** Missing: clients of Sentinel are not served on this host. */
  readonly sentinel?: Pick<RouterClient, 'putMaster' | 'masters'>;
  readonly onProblem: (error: Error) => void;
  readonly onNotice: (text: string) => void;
}

const consentLimitMs = 400;

export function networkOf(
  { interface: name }: Pick<Membership, 'interface'>,
  onProblem: (error: Error) => void,
): HostNetwork {
  return name === undefined ? standingAddresses : interfaceAddresses(name, onProblem);
}

/** Adopts what runs here and opens the door. Resolves when controllers can reach it. */
export async function startAgent(options: AgentOptions): Promise<{ close(): Promise<void> }> {
  const { directory, membership, router, onProblem } = options;
  const network = networkOf(membership, onProblem);
  const secrets = nodeSecrets(membership.fleetKey);
  const certificates = givenCertificates();
  const onDisk = epochFence(directory);
  let lease: HostLease | undefined;
  const fence: EpochFence = {
    ...onDisk,
    admit(order) {
      lease?.admit(order);
      onDisk.admit(order);
    },
  };
  const host = await processHost({
    id: membership.name,
    directory,
    findBuild: options.findBuild,
    secrets,
    certificates,
    fence,
    network,
    onProblem,
  });
  const peers = new Map<string, AgentClient>();
  lease = hostLease({
    directory,
    fence,
    nowMs: machineMs,
    store: chargeStore(directory),
    runningNodes: host.runningNodes,
    async fenceNode(node) {
      const outcome = await fenceNode(node, secrets.admin(node.nodeId));
      if (outcome !== 'replica') host.giveUpEndpoints(node.nodeId);
    },
    async askPeer({ url }: Peer, question) {
      let client = peers.get(url);
      if (client === undefined) {
        client = agentClient(url, membership);
        peers.set(url, client);
      }
      const answer = await client.send('POST', '/consents', question, { timeoutMs: consentLimitMs });
      return (answer as { consent?: boolean }).consent === true;
    },
    onProblem,
    onNotice: options.onNotice,
  });
  const server = await agentServer({
    host,
    router: withAddresses(router, network),
    ...(options.sentinel !== undefined && { sentinel: options.sentinel }),
    fence,
    lease,
    certificates,
    standIn: await standIn(directory, network),
    facts: {
      mostConnections: host.mostConnections,
      nodesDirectory: join(directory, 'nodes'),
    },
    tls: membership,
    listen: membership.listen,
  });
  return {
    async close() {
      server.close();
      lease?.close();
      for (const client of peers.values()) client.close();
      await host.close();
    },
  };
}

/** Endpoints that the router serves are put on this host before it listens there, and given up after. */
function withAddresses(
  router: Pick<RouterClient, 'put' | 'routes'>,
  network: HostNetwork,
): Pick<RouterClient, 'put' | 'routes'> {
  return {
    routes: router.routes,
    async put(owner, epoch, routes) {
      // A route to its own address stands before a node, whose address is here anyway.
      const endpoints = (all: readonly Route[]) =>
        all
          .filter((route) => targetsOf(route).every(({ address }) => address !== route.listen.address))
          .map(({ listen }) => listen.address);
      const before = endpoints((await router.routes()).get(owner)?.routes ?? []);
      const after = endpoints(routes);
      await network.take(after);
      await router.put(owner, epoch, routes);
      network.announce(after);
      await network.release(before.filter((address) => !after.includes(address)));
    },
  };
}
