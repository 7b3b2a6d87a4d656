/** Hands out addresses, once each. */
import type { DatabaseTransaction } from '../database/connect.ts';

/** A replication group and a cache cluster may have the same id. */
export interface AddressOwner {
  readonly resource: 'replication-group' | 'cache-cluster';
  readonly id: string;
}

export async function usedAddresses(transaction: DatabaseTransaction): Promise<Set<string>> {
  const rows = await transaction.selectFrom('address').select('address').execute();
  return new Set(rows.map((row) => row.address));
}

/** @returns the first of the addresses that is not used and that is free, now the owner's; undefined when there is none. */
export async function takeAddress(
  transaction: DatabaseTransaction,
  options: {
    /** The one that is taken is added. */
    readonly used: Set<string>;
    readonly addresses: Iterable<string>;
    readonly free: (address: string) => Promise<boolean>;
    readonly resource: AddressOwner['resource'];
    /** Begins with the resource's id and a slash. */
    readonly owner: string;
    /** Where it is; empty when it goes from host to host. */
    readonly host: string;
  },
): Promise<string | undefined> {
  for (const address of options.addresses) {
    if (options.used.has(address) || !(await options.free(address))) continue;
    await transaction
      .insertInto('address')
      .values({ address, owner: `${options.resource}:${options.owner}`, host: options.host })
      .execute();
    options.used.add(address);
    return address;
  }
  return undefined;
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
