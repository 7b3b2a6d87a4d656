/** What a host was told it has in charge, and what it promised, on disk: an agent that comes back knows it at once. */
import { join } from 'node:path';
import { readJsonFile, writeDurably } from '../durable-file.ts';
import type { Charge, ChargeStore } from './host-lease.ts';

export function chargeStore(directory: string): ChargeStore {
  const file = join(directory, 'charge.json');
  return {
    read: () => readJsonFile<Charge>(file, { groups: [], promises: {} }),
    write: (charge) => writeDurably(file, JSON.stringify(charge)),
  };
}
