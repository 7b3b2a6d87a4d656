/** Where nodes stand: on which host, at which address. On one machine there is one host, and every zone is on it. */

import { serviceError } from '@larder/contract/errors';
import { addressesOf, parseAddressRange } from '@larder/fleet/ipv4';
import type { DatabaseTransaction } from '../database/connect.ts';
import { readHosts } from '../host/store.ts';
import { type AddressOwner, takeAddress, usedAddresses } from './addresses.ts';
import { chooseHost } from './choose-host.ts';
import { endpointName } from './endpoint-names.ts';

export interface Place {
  readonly host: string;
  /** Of an endpoint it may be a name. */
  readonly address: string;
}

/** What is to have an address. */
export interface Seat {
  /** Begins with the resource's id and a slash. */
  readonly owner: string;
  /** Of a node. Without one it is an endpoint, whose address goes from host to host. */
  readonly zone?: string;
  /** Hosts that have a copy of the same data: another is better. */
  readonly apartFrom?: readonly string[];
  /** Seats with the same one hold copies of the same data. */
  readonly copyOf?: string;
}

export interface Request {
  /** That clients will know. */
  readonly port: number;
  readonly resource: AddressOwner['resource'];
  readonly seats: readonly Seat[];
}

export interface Placement {
  /** Those of the zones in which nodes can be placed now; all of them when there are none, so that `take` says why. */
  zones(known: readonly string[]): readonly string[];
  /**
   * Takes a place for each seat, in the transaction that uses them.
   * @returns owner -> place; an endpoint's host is empty. Without the configuration endpoint of a cache cluster where it
   *   can't be.
   * @throws ServiceError InsufficientCacheClusterCapacityFault
   */
  take(transaction: DatabaseTransaction, request: Request): Promise<Map<string, Place>>;
}

export const onlyHost = 'local';

/** One machine. @param candidates its addresses in the order to try them. */
export function oneMachine(
  candidates: () => Iterable<string>,
  isFree: (address: string, port: number) => Promise<boolean>,
): Placement {
  return {
    zones: (known) => known,
    async take(transaction, { port, resource, seats }) {
      const places = new Map<string, Place>();
      const used = await usedAddresses(transaction);
      const free = (address: string) => isFree(address, port);
      for (const { owner, zone } of seats) {
        const host = zone === undefined ? '' : onlyHost;
        const addresses = candidates();
        const address = await takeAddress(transaction, { used, addresses, free, resource, owner, host });
        if (address === undefined)
          throw noCapacity('This service has used up its block of loopback addresses.');
        places.set(owner, { host, address });
      }
      return places;
    },
  };
}

export interface FleetPlacementOptions {
  /** Whether nodes can be started there now. */
  readonly isConnected: (host: string) => boolean;
  /** Zones of hosts that are connected. */
  readonly connectedZones: () => readonly string[];
  readonly endpoints: FleetEndpoints;
}

/** What endpoints are: addresses of a range on the network of all hosts, or names under a domain. */
export type FleetEndpoints = { readonly addresses: string } | { readonly domain: string };

/** Hosts that joined: each has a zone and addresses of its own. */
export function onFleet(options: FleetPlacementOptions): Placement {
  const free = async () => true;
  return {
    zones(known) {
      const inhabited = new Set(options.connectedZones());
      const some = known.filter((zone) => inhabited.has(zone));
      return some.length === 0 ? known : some;
    },
    async take(transaction, { resource, seats }) {
      const hosts = (await readHosts(transaction)).filter(
        ({ name, leaving }) => !leaving && options.isConnected(name),
      );
      const used = await usedAddresses(transaction);
      const nodes = await countNodes(transaction);
      const places = new Map<string, Place>();
      const copies = new Map<string, string[]>();
      for (const { owner, zone, apartFrom = [], copyOf } of seats) {
        if (zone === undefined) {
          if ('domain' in options.endpoints) {
            // Memcached's is served at an address of its own, which no host has here.
            if (resource === 'cache-cluster') continue;
            places.set(owner, { host: '', address: endpointName(owner, options.endpoints.domain) });
            continue;
          }
          const addresses = addressesOf(parseAddressRange(options.endpoints.addresses)!);
          const address = await takeAddress(transaction, {
            used,
            addresses,
            free,
            resource,
            owner,
            host: '',
          });
          if (address === undefined) throw noCapacity('The addresses for endpoints are used up.');
          places.set(owner, { host: '', address });
          continue;
        }
        const beside = copyOf === undefined ? [] : (copies.get(copyOf) ?? []);
        const host = chooseHost({ hosts, nodes, zone, apartFrom: [...apartFrom, ...beside] });
        if (host === undefined) throw noCapacity(`No host in ${zone} is connected.`);
        const addresses = addressesOf(parseAddressRange(host.addresses)!);
        const address = await takeAddress(transaction, {
          used,
          addresses,
          free,
          resource,
          owner,
          host: host.name,
        });
        if (address === undefined) throw noCapacity(`Host ${host.name} has used up its addresses.`);
        places.set(owner, { host: host.name, address });
        nodes.set(host.name, (nodes.get(host.name) ?? 0) + 1);
        if (copyOf !== undefined) copies.set(copyOf, [...beside, host.name]);
      }
      return places;
    },
  };
}

async function countNodes(transaction: DatabaseTransaction): Promise<Map<string, number>> {
  const rows = await transaction
    .selectFrom('address')
    .select(['host', ({ fn }) => fn.countAll<number>().as('count')])
    .groupBy('host')
    .execute();
  return new Map(rows.map(({ host, count }) => [host, Number(count)]));
}

function noCapacity(why: string) {
  return serviceError('InsufficientCacheClusterCapacityFault', why);
}
