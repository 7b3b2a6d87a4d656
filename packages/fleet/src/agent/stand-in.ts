/**
 * The addresses of another host's nodes, held here while that host is lost. Nobody listens there: who has a connection to
 * them, or wants one, is refused at once, and turns to the nodes that live. Else a client would wait for the dead ones
 * for as long as its system does, which may be a quarter of an hour.
 */
import { join } from 'node:path';
import { readJsonFile, writeDurably } from '../durable-file.ts';
import type { HostNetwork } from './network.ts';

export interface StandIn {
  /** Makes these the addresses that are held for others. */
  hold(addresses: readonly string[]): Promise<void>;
}

/** Gives up what an earlier agent held: who is to hold it is told anew. */
export async function standIn(directory: string, network: HostNetwork): Promise<StandIn> {
  const file = join(directory, 'stand-in.json');
  await network.release(readJsonFile<readonly string[]>(file, []));
  let held: readonly string[] = [];
  return {
    async hold(addresses) {
      const before = held;
      const added = addresses.filter((address) => !before.includes(address));
      // On record before it is on the interface: an agent that dies in between gives it up when it comes back.
      writeDurably(file, JSON.stringify([...new Set([...before, ...addresses])]));
      await network.take(added);
      network.announce(added);
      await network.release(before.filter((address) => !addresses.includes(address)));
      held = [...addresses];
      writeDurably(file, JSON.stringify(held));
    },
  };
}
