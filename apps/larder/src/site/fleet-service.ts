/** What a service with hosts has besides its API: a door for machines that join, and what its operator may ask. */
import { isIPv4 } from 'node:net';
import { join } from 'node:path';
import type { ControlPlane } from '@larder/control/control-plane';
import type { Database } from '@larder/control/database/connect';
import { type JoinContext, joinHost, makeJoinToken } from '@larder/control/host/join';
import { relocateNodes } from '@larder/control/host/relocate';
import { isDomain } from '@larder/control/placement/endpoint-names';
import type { NodePlaces } from '@larder/control/placement/node-places';
import type { FleetEndpoints } from '@larder/control/placement/placement';
import type { Logger } from '@larder/control/reconciler/logger';
import { parseAddressRange } from '@larder/fleet/ipv4';
import type { NodeCertificates } from '@larder/fleet/process-host';
import { fingerprint, openAuthority } from '@larder/fleet/tls/authority';
import { defaultRegion } from '../config.ts';
import { UsageError } from '../usage-error.ts';
import { type FleetSite, fleetSite } from './fleet-site.ts';
import { joinServer } from './join-server.ts';
import type { FleetOperations } from './operator-socket.ts';

export interface FleetServiceFlags {
  /** Where machines join: `ADDRESS:PORT`. */
  readonly listen: string;
  readonly endpoints: FleetEndpoints;
  /** How long a host may be lost before its replicas are made anew elsewhere. */
  readonly replaceAfterMs: number;
}

export interface FleetServiceOptions extends FleetServiceFlags {
  readonly directory: string;
  readonly database: Database;
  /** Of leading. */
  readonly term: number;
  readonly places: NodePlaces;
  readonly certificates: NodeCertificates;
  readonly secretKey: Buffer;
  readonly logger: Logger;
}

export interface FleetService {
  /** What controllers and agents know each other by. */
  readonly authorityPem: string;
  readonly site: FleetSite;
  /** Opens the door for machines. */
  serve(control: ControlPlane): Promise<{ readonly operations: FleetOperations; close(): void }>;
}

/** @throws UsageError for flags that say nothing sensible. */
export async function openFleetService(options: FleetServiceOptions): Promise<FleetService> {
  const { database, directory, endpoints, logger } = options;
  const listen = readListen(options.listen);
  if ('addresses' in endpoints && parseAddressRange(endpoints.addresses) === undefined) {
    throw new UsageError('--endpoint-addresses must be a range such as 10.0.9.0/24 or 10.0.9.10-10.0.9.50.');
  }
  if ('domain' in endpoints && !isDomain(endpoints.domain)) {
    throw new UsageError('--endpoint-domain must be a domain in small letters, such as cache.example.');
  }
  const authority = await openAuthority(join(directory, 'fleet-tls'), Date.now);
  const site = await fleetSite({
    database,
    places: options.places,
    authority,
    certificates: options.certificates,
    leader: options.term,
    endpoints,
    logger,
  });
  const context: JoinContext = {
    database,
    authority,
    authorityFingerprint: fingerprint(authority.certificatePem),
    fleetKey: options.secretKey,
    region: defaultRegion,
    ...('addresses' in endpoints && { endpointAddresses: endpoints.addresses }),
    nowMs: Date.now,
  };

  return {
    authorityPem: authority.certificatePem,
    site,
    async serve(control) {
      const joins = await joinServer({
        listen,
        authority,
        logger,
        async join(body) {
          const answer = await joinHost(context, body);
          await site.refresh();
          return answer;
        },
      });
      const relocating = { database, placement: site.placement, nowMs: Date.now, wake: control.wake };
      const stopReplacing = replaceLost(site, options, (host) => relocateNodes(relocating, host, 'replicas'));
      return {
        operations: {
          hosts: { ...relocating, stateOf: site.stateOf, refresh: site.refresh },
          makeJoinToken: () => makeJoinToken(context),
        },
        close() {
          stopReplacing();
          joins.close();
        },
      };
    },
  };
}

const lookEveryMs = 1_000;

/** Has replicas made anew elsewhere whose host has been lost for too long. */
function replaceLost(
  site: FleetSite,
  { replaceAfterMs, logger }: FleetServiceOptions,
  relocate: (host: string) => Promise<readonly string[]>,
): () => void {
  const lostSince = new Map<string, number>();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    for (const host of site.names()) {
      if (site.stateOf(host) !== 'fenced') lostSince.delete(host);
      else if (!lostSince.has(host)) lostSince.set(host, nowMs);
      else if (nowMs - lostSince.get(host)! > replaceAfterMs) {
        // Once for each loss; what could not be placed is tried again after as long.
        lostSince.set(host, nowMs);
        relocate(host).then(
          (moved) => {
            if (moved.length > 0)
              logger.warn({ host, moved }, 'A host is lost; its replicas are made anew elsewhere.');
          },
          (error: Error) => logger.warn({ host, error }, 'Replicas of a lost host have no other place.'),
        );
      }
    }
  }, lookEveryMs);
  return () => clearInterval(timer);
}

function readListen(text: string): { readonly address: string; readonly port: number } {
  const [address = '', port = ''] = text.split(':');
  if (isIPv4(address) && /^\d{1,5}$/.test(port) && Number(port) <= 65_535)
    return { address, port: Number(port) };
  throw new UsageError('--hosts-listen must be an IPv4 address and a port, such as 10.0.0.1:7071.');
}
