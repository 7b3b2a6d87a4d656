import { formatEngineLine } from '@larder/fleet/log-delivery/engine-log';
import { formatSlowEntry } from '@larder/fleet/log-delivery/slow-log';
import { expect, test } from 'vitest';
import { lineTimeMs } from './line-time.ts';

const source = { nodeId: 'a.0001', engine: 'valkey', clusterId: 'a', cacheNodeId: '0001' } as const;
const slow = {
  id: 3,
  timestampSeconds: 1_800_000_000,
  durationUs: 5,
  command: 'set',
  clientAddress: '127.0.0.1:9',
  clientName: '{"Timestamp":1}',
};
const heading = { role: 'M', timeMs: Date.UTC(2030, 9, 29, 20, 12, 20, 499), level: '*' } as const;

test.each(['json', 'text'] as const)('the time of a line of %s is what it says', (format) => {
  expect(lineTimeMs(formatSlowEntry(slow, source, format), 'slow-log')).toBe(1_800_000_000_000);
  expect(lineTimeMs(formatEngineLine({ message: 'Ready', heading }, source, format), 'engine-log')).toBe(
    heading.timeMs,
  );
  expect(
    lineTimeMs(formatEngineLine({ message: '0.0 banner' }, source, format), 'engine-log'),
  ).toBeUndefined();
});
