import { expect, test } from 'vitest';
import { decodeReadings, encodeReadings, type NodeReading } from './node-reading.ts';

test('goes from host to host as numbers, each with its name, and what one node lacks stays missing', () => {
  const reading = (counts: NodeReading['counts']) => ({ atMs: 5, run: 'r', watch: 'w', counts });
  const readings = new Map([
    ['a.0001', reading({ keys: 3, is_primary: 1 })],
    ['b.0001', reading({ get_hits: 0.5 })],
  ]);
  const wire = JSON.parse(JSON.stringify(encodeReadings(readings))) as ReturnType<typeof encodeReadings>;
  expect(wire.names).toEqual(['keys', 'is_primary', 'get_hits']);
  expect(decodeReadings(wire)).toEqual(readings);
  expect(decodeReadings(encodeReadings(new Map()))).toEqual(new Map());
});
