import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { epochFence } from './epoch-fence.ts';
import { StaleOrder } from './host.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'larder-fence-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

describe('the epoch fence', () => {
  test('lets the same and higher epochs through, and no lower one', () => {
    const fence = epochFence(directory);
    fence.admit({ group: 'a', epoch: 3 });
    fence.admit({ group: 'a', epoch: 3 });
    fence.admit({ group: 'a', epoch: 5 });
    expect(() => fence.admit({ group: 'a', epoch: 4 })).toThrow(StaleOrder);
    // Each group has its own.
    fence.admit({ group: 'b', epoch: 1 });
  });

  test('remembers across a restart', () => {
    epochFence(directory).admit({ group: 'a', epoch: 7 });
    const restarted = epochFence(directory);
    expect(() => restarted.admit({ group: 'a', epoch: 6 })).toThrow(StaleOrder);
    restarted.admit({ group: 'a', epoch: 7 });
    expect(readdirSync(directory)).toEqual(['epochs.json']);
  });

  test("a file it can't read stops it: to begin anew would let orders from the past through", () => {
    for (const text of ['', '{"a":', 'null', '[]', '{"a":"7"}']) {
      writeFileSync(join(directory, 'epochs.json'), text);
      expect(() => epochFence(directory), text).toThrow("epochs.json can't be read");
    }
  });
});
