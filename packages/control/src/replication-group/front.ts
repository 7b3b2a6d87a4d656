/** What stands between a group's clients and its engines: nothing, or the router. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host, NodeObservation } from '@larder/fleet/host';
import type { NodeSecrets } from '@larder/fleet/node-secrets';
import type { Route } from '@larder/fleet/router/route-table';
import type { RouterClient } from '@larder/fleet/router/router-client';
import { checksTokens, type Environment } from '../node/environment.ts';
import { portsOf } from '../node/wanted-node.ts';
import { onlyHost } from '../placement/placement.ts';
import { hasManyReplicas } from './plan-reader.ts';
import { membersOf, nodeIdOf, type ReplicationGroup } from './replication-group.ts';
import type { Front, RouteTarget } from './seen-member.ts';

export interface FrontDeps {
  readonly host: Pick<Host, 'certificateFiles'>;
  readonly router: Pick<RouterClient, 'ready' | 'recorded' | 'routes'>;
  readonly secrets: NodeSecrets;
}

/**
 * The router is asked only about groups it may serve: most need none, and none is started for them. It is put
 * before the engines once all of them have given it their port, and taken away before they get it back.
 */
export async function frontOf(
  deps: FrontDeps,
  group: ReplicationGroup,
  environment: Environment,
  observations: ReadonlyMap<string, NodeObservation>,
): Promise<Front> {
  const { host, router, secrets } = deps;
  const checks = checksTokens(environment.groupUsers);
  const wanted = portsOf(group.intent, checks);
  const { port } = group.intent;
  const running = membersOf(group)
    .map((member) => observations.get(nodeIdOf(member)))
    .filter((seen) => seen?.process.kind === 'running');
  const gavePort = running.every((seen) => {
    const ports = seen!.started!.ports;
    return ports.plainPort !== port && ports.tlsPort !== port;
  });
  const wantsFront = wanted.plainPort !== port && wanted.tlsPort !== port;
  const onOneMachine = membersOf(group).every((member) => member.host === onlyHost);
  if (!wantsFront && onOneMachine && (!gavePort || running.length === 0)) return directFront(deps, group);
  if (!wantsFront && !gavePort) return { routes: [] };
  const routes = (await router.routes()).get(group.id)?.routes ?? [];
  if (!wantsFront || !gavePort || running.length === 0) return { routes };

  const filesOf = (nodeAddress: string) =>
    host.certificateFiles(nodeIdOf(membersOf(group).find(({ address }) => address === nodeAddress)!));
  const upstreamAt = (address: string) => ({
    ...{ address, port: wanted.tlsPort },
    caFile: filesOf(address).authorityFile,
  });
  const routeTo = ({ listenAddress, nodeAddress, moreAddresses = [] }: RouteTarget): Route => {
    const listen = { address: listenAddress, port };
    if (group.intent.transit === 'preferred') {
      const pairAt = (address: string) => ({
        plain: { address, port: wanted.plainPort },
        tls: { address, port: wanted.tlsPort },
      });
      const more = moreAddresses.map(pairAt);
      return { kind: 'either', listen, ...pairAt(nodeAddress), ...(more.length > 0 && { more }) };
    }
    const { certificateFile, keyFile } = filesOf(nodeAddress);
    const moreUpstreams = moreAddresses.map(upstreamAt);
    return {
      kind: 'iam',
      listen,
      certificate: { certificateFile, keyFile },
      upstream: upstreamAt(nodeAddress),
      ...(moreUpstreams.length > 0 && { moreUpstreams }),
      cacheName: group.id,
      anonymous: false,
      iamUsers: iam.map(({ userId, userName }) => ({
        userId,
        userName,
        upstreamPassword: secrets.iamUser(group.id, userId),
      })),
    };
  };
  const iam = environment.groupUsers?.iam ?? [];
  return { routeTo, routes };
}

/** How long a pass waits for a router that is to be started. */
const routerWaitMs = 50;

/**
 * Clients reach the engines themselves; the router, on their machine, may spread those of the reader endpoint. It is asked
 * for nothing while it serves them: a failover must not wait for it.
 */
async function directFront({ router }: FrontDeps, group: ReplicationGroup): Promise<Front> {
  const { clusterEnabled, port } = group.intent;
  const routes = router.recorded(group.id);
  const spreads = !clusterEnabled && group.status !== 'deleting' && hasManyReplicas(group.nodeGroups[0]!);
  if (!spreads) return { routes };
  if (routes.length === 0) {
    const ready = router.ready().then(
      () => true,
      () => false,
    );
    const isReady = await Promise.race([ready, sleep(routerWaitMs, false, { ref: false })]);
    if (!isReady) return { routes };
  }
  return {
    routes,
    spreadOver: ({ listenAddress, nodeAddresses, fallbackAddress }) => ({
      kind: 'spread',
      listen: { address: listenAddress, port },
      targets: nodeAddresses.map((address) => ({ address, port })),
      fallback: { address: fallbackAddress, port },
    }),
  };
}
