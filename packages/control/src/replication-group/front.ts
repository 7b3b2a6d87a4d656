/** What stands between a group's clients and its engines: nothing, or the router. */
import type { Host, NodeObservation } from '@larder/fleet/host';
import type { NodeSecrets } from '@larder/fleet/node-secrets';
import type { Route } from '@larder/fleet/router/route-table';
import type { RouterClient } from '@larder/fleet/router/router-client';
import { checksTokens, type Environment } from '../node/environment.ts';
import { portsOf } from '../node/wanted-node.ts';
import { membersOf, nodeIdOf, type ReplicationGroup } from './replication-group.ts';
import type { Front, RouteTarget } from './seen-member.ts';

export interface FrontDeps {
  readonly host: Pick<Host, 'certificateFiles'>;
  readonly router: Pick<RouterClient, 'routes'>;
  readonly secrets: NodeSecrets;
}

/**
 * The router is asked only about groups it may serve: most need none, and none is started for them. It is put
 * before the engines once all of them have given it their port, and taken away before they get it back.
 */
export async function frontOf(
  { host, router, secrets }: FrontDeps,
  group: ReplicationGroup,
  environment: Environment,
  observations: ReadonlyMap<string, NodeObservation>,
): Promise<Front> {
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
  if (!wantsFront && !gavePort) return { routes: [] };
  const routes = (await router.routes()).get(group.id)?.routes ?? [];
  if (!wantsFront || !gavePort || running.length === 0) return { routes };

  const routeTo = ({ listenAddress, nodeAddress }: RouteTarget): Route => {
    const listen = { address: listenAddress, port };
    const plain = { address: nodeAddress, port: wanted.plainPort };
    const tls = { address: nodeAddress, port: wanted.tlsPort };
    if (group.intent.transit === 'preferred') return { kind: 'either', listen, plain, tls };
    const member = membersOf(group).find(({ address }) => address === nodeAddress)!;
    const { certificateFile, keyFile, authorityFile } = host.certificateFiles(nodeIdOf(member));
    return {
      kind: 'iam',
      listen,
      certificate: { certificateFile, keyFile },
      upstream: { ...tls, caFile: authorityFile },
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
