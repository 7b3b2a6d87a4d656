/** What the router serves for a cache cluster: Memcached's configuration endpoint, or both kinds of clients on one port. */
import type { Host, NodeObservation } from '@larder/fleet/host';
import type { Route } from '@larder/fleet/router/route-table';
import type { RouterClient } from '@larder/fleet/router/router-client';
import type { WantedNode } from '../node/wanted-node.ts';
import { type CacheCluster, nodeIdOf } from './cache-cluster.ts';

export async function routesOf(
  { host, router }: { readonly host: Host; readonly router: Pick<RouterClient, 'routes'> },
  owner: string,
  cluster: CacheCluster,
  wanted: (node: string) => WantedNode,
  observations: ReadonlyMap<string, NodeObservation>,
): Promise<{ now: readonly Route[]; wanted: readonly Route[] }> {
  const target = wantedRoutes(host, cluster, wanted, observations);
  const mayHave =
    target.length > 0 || cluster.intent.transit === 'preferred' || cluster.status !== 'available';
  const now = mayHave ? await router.routes() : undefined;
  const present = now?.get(owner)?.routes ?? [];
  return { now: present, wanted: target };
}

function wantedRoutes(
  host: Host,
  cluster: CacheCluster,
  wanted: (node: string) => WantedNode,
  observations: ReadonlyMap<string, NodeObservation>,
): Route[] {
  const { configurationAddress, intent } = cluster;
  const staying = cluster.nodes.filter(({ status }) => status !== 'deleting');
  if (configurationAddress !== undefined) {
    return [
      {
        kind: 'discovery',
        listen: { address: configurationAddress, port: intent.port },
        configVersion: cluster.configVersion,
        nodes: staying.map(({ address }) => ({ host: address, ip: address, port: intent.port })),
        targets: staying.map((node) => {
          const { authorityFile } = host.certificateFiles(nodeIdOf(cluster, node));
          const target = { address: node.address, port: intent.port };
          return intent.transit === 'none' ? target : { ...target, caFile: authorityFile };
        }),
        ...(intent.transit !== 'none' &&
          staying[0] !== undefined && {
            certificate: {
              certificateFile: host.certificateFiles(nodeIdOf(cluster, staying[0])).certificateFile,
              keyFile: host.certificateFiles(nodeIdOf(cluster, staying[0])).keyFile,
            },
          }),
      },
    ];
  }
  if (intent.transit !== 'preferred') return [];
  return staying.flatMap((node) => {
    const ports = observations.get(nodeIdOf(cluster, node))?.started?.ports;
    // Until the engine gave it up the port is not the router's.
    if (ports?.plainPort === intent.port) return [];
    const { plainPort, tlsPort } = wanted(node.id);
    return [
      {
        kind: 'either' as const,
        listen: { address: node.address, port: intent.port },
        plain: { address: node.address, port: plainPort },
        tls: { address: node.address, port: tlsPort },
      },
    ];
  });
}
