/** Keeps the highest epoch seen per group, on disk, so that an order from the past is refused after a restart too. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from './durable-file.ts';
import { type Order, StaleOrder } from './host.ts';

export interface EpochFence {
  /** @throws StaleOrder when a higher epoch was seen for the group. Waits for the disk when the epoch rises. */
  admit(order: Order): void;
  /** The highest seen for the group; 0 for none. */
  highest(group: string): number;
}

export function epochFence(directory: string): EpochFence {
  const file = join(directory, 'epochs.json');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const highest = new Map<string, number>(Object.entries(read(file)));

  return {
    admit({ group, epoch }) {
      const seen = highest.get(group) ?? 0;
      if (epoch < seen) {
        throw new StaleOrder(
          `An order for ${group} of epoch ${epoch} came after epoch ${seen}; it is refused.`,
        );
      }
      if (epoch === seen) return;
      highest.set(group, epoch);
      writeDurably(file, JSON.stringify(Object.fromEntries(highest)));
    },
    highest: (group) => highest.get(group) ?? 0,
  };
}

function read(file: string): Record<string, number> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
  const epochs = parse(text);
  if (epochs !== undefined) return epochs;
  // To begin with no epochs would let orders from the past through.
  throw new Error(`${file} can't be read; restore it, or stop every node and remove it.`);
}

function parse(text: string): Record<string, number> | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const whole = Object.values(value).every((epoch) => Number.isSafeInteger(epoch));
    return whole ? (value as Record<string, number>) : undefined;
  } catch {
    return undefined;
  }
}
