/** What a host was told it has in charge, and what it promised, on disk: an agent that comes back knows it at once. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from '../durable-file.ts';
import type { Charge, ChargeStore } from './host-lease.ts';

export function chargeStore(directory: string): ChargeStore {
  const file = join(directory, 'charge.json');
  return {
    read() {
      try {
        return JSON.parse(readFileSync(file, 'utf8')) as Charge;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { groups: [], promises: {} };
        throw error;
      }
    },
    write: (charge) => writeDurably(file, JSON.stringify(charge)),
  };
}
