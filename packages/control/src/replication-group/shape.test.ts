import { isServiceError } from '@larder/contract/errors';
import { formatSlots, tileAllSlots } from '@larder/engine/slots';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { zonesOf } from '../placement/zones.ts';
import { mostMembers, mostNodes, planShape } from './shape.ts';

type Request = Parameters<typeof planShape>[0];

const base = { ReplicationGroupId: 'shop', ReplicationGroupDescription: '' };
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 2 });
const zone = fc.constantFrom('us-east-1a', 'us-east-1b', 'us-east-1c', 'us-east-1x');
const count = fc.integer({ min: -1, max: 8 });
const configuration = fc.record({
  NodeGroupId: maybe(fc.constantFrom('0001', '1', '0002', '2', '9999', 'x')),
  Slots: maybe(fc.constantFrom('0-16383', '0-8191', '8192-16383', 'all')),
  ReplicaCount: maybe(count),
  PrimaryAvailabilityZone: maybe(zone),
  ReplicaAvailabilityZones: maybe(fc.array(zone, { maxLength: 3 })),
});
const request = fc.record({
  NumCacheClusters: maybe(count),
  NumNodeGroups: maybe(fc.integer({ min: -1, max: 95 })),
  ReplicasPerNodeGroup: maybe(count),
  ClusterMode: maybe(fc.constantFrom('enabled' as const, 'disabled' as const, 'compatible' as const)),
  AutomaticFailoverEnabled: maybe(fc.boolean()),
  MultiAZEnabled: maybe(fc.boolean()),
  PreferredCacheClusterAZs: maybe(fc.array(zone, { maxLength: 4 })),
  NodeGroupConfiguration: maybe(fc.array(configuration, { maxLength: 3 })),
});

test('any request is refused with a modelled error or has a shape that keeps every limit', () => {
  let shaped = 0;
  fc.assert(
    fc.property(request, (input) => {
      let shape: ReturnType<typeof planShape>;
      try {
        shape = planShape({ ...base, ...input } as Request, zonesOf('us-east-1'));
      } catch (error) {
        if (!isServiceError(error)) throw error;
        return;
      }
      shaped += 1;
      const { nodeGroups } = shape;
      const sizes = nodeGroups.map(({ memberZones }) => memberZones.length);
      expect(nodeGroups.length).toBeGreaterThan(0);
      expect(nodeGroups.map(({ index }) => index)).toEqual(nodeGroups.map((_, index) => index));
      expect(Math.min(...sizes)).toBeGreaterThan(0);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(mostMembers);
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(mostNodes);
      expect(tileAllSlots(nodeGroups.map(({ slots }) => slots))).toBe(true);
      expect(nodeGroups.flatMap(({ memberZones }) => memberZones)).not.toContain('us-east-1x');
      if (!shape.clusterEnabled) expect(nodeGroups).toHaveLength(1);
      if (shape.clusterEnabled) expect(shape.automaticFailover).toBe(true);
      if (shape.multiAz) expect(shape.automaticFailover && Math.min(...sizes) > 1).toBe(true);
      // What was asked for is what there is.
      if (input.NumNodeGroups !== undefined) expect(nodeGroups).toHaveLength(input.NumNodeGroups);
      if (input.NumCacheClusters !== undefined) expect(sizes).toEqual([input.NumCacheClusters]);
      const configurations = input.NodeGroupConfiguration ?? [];
      if (configurations.length > 0) expect(nodeGroups).toHaveLength(configurations.length);
      for (const each of configurations) {
        if (each.ReplicaCount !== undefined) expect(sizes).toContain(each.ReplicaCount + 1);
        if (each.PrimaryAvailabilityZone !== undefined && input.PreferredCacheClusterAZs === undefined) {
          expect(nodeGroups.map(({ memberZones }) => memberZones[0])).toContain(each.PrimaryAvailabilityZone);
        }
      }
    }),
    { numRuns: 3_000 },
  );
  expect(shaped).toBeGreaterThan(100);
});

test('shards take their slots and zones by their ids, in whatever order they come', () => {
  const { nodeGroups } = planShape(
    {
      ...base,
      NodeGroupConfiguration: [
        { NodeGroupId: '2', Slots: '0-99', PrimaryAvailabilityZone: 'us-east-1c' },
        { NodeGroupId: '0001', Slots: '100-16383', ReplicaCount: 1 },
      ],
    },
    zonesOf('us-east-1'),
  );
  expect(nodeGroups.map(({ slots, memberZones }) => [formatSlots(slots), ...memberZones])).toEqual([
    ['100-16383', 'us-east-1a', 'us-east-1b'],
    ['0-99', 'us-east-1c'],
  ]);
});
