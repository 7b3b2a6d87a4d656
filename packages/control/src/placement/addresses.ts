/** Hands out loopback addresses, once each. */
import type { Host } from '@larder/fleet/host';
import type { DatabaseTransaction } from '../database/connect.ts';

/** A replication group and a cache cluster may have the same id. */
export interface AddressOwner {
  readonly resource: 'replication-group' | 'cache-cluster';
  readonly id: string;
}

export class NoFreeAddress extends Error {
  override name = 'NoFreeAddress';
}

/**
 * Takes `owners.length` addresses that nobody has and nobody listens on, in the transaction that uses them.
 * @returns owner -> address
 */
export async function takeAddresses(
  transaction: DatabaseTransaction,
  options: {
    readonly host: Pick<Host, 'isAddressFree'>;
    /** In the order to try them; the service's block. */
    readonly candidates: Iterable<string>;
    readonly port: number;
    readonly resource: AddressOwner['resource'];
    /** Each begins with the resource's id and a slash. */
    readonly owners: readonly string[];
  },
): Promise<Map<string, string>> {
  const rows = await transaction.selectFrom('address').select('address').execute();
  const used = new Set(rows.map((row) => row.address));
  const taken = new Map<string, string>();
  const waiting = [...options.owners];
  for (const address of options.candidates) {
    const owner = waiting[0];
    if (owner === undefined) break;
    if (used.has(address) || !(await options.host.isAddressFree(address, options.port))) continue;
    waiting.shift();
    taken.set(owner, address);
    await transaction
      .insertInto('address')
      .values({ address, owner: `${options.resource}:${owner}` })
      .execute();
  }
  if (waiting.length > 0)
    throw new NoFreeAddress('This service has used up its block of loopback addresses.');
  return taken;
}

/** Frees every address of one resource, but for those in `kept`. */
export async function releaseAddresses(
  transaction: DatabaseTransaction,
  { resource, id }: AddressOwner,
  kept: readonly string[] = [],
): Promise<void> {
  let query = transaction.deleteFrom('address').where('owner', 'like', `${resource}:${id}/%`);
  if (kept.length > 0) query = query.where('address', 'not in', kept);
  await query.execute();
}

/** Hands one address that is in use to another owner, whose `owner` begins with its id and a slash. */
export async function passAddress(
  transaction: DatabaseTransaction,
  address: string,
  to: { readonly resource: AddressOwner['resource']; readonly owner: string },
): Promise<void> {
  await transaction
    .updateTable('address')
    .set({ owner: `${to.resource}:${to.owner}` })
    .where('address', '=', address)
    .execute();
}
