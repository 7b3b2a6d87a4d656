import { ownMetricUnits } from '@larder/control/metric/own-metrics';
import { tiers } from '@larder/control/metric/tier';
import { expect, test } from 'vitest';
import { metricsReference } from './metrics-reference.ts';

const source = 'ReplicationGroupId or CacheClusterId';
const own: Record<keyof typeof ownMetricUnits, { readonly dimensions: string; readonly what: string }> = {
  CollectorCpuUtilization: {
    dimensions: '',
    what: 'of one core: reading nodes on this machine, deriving and handing over, by the clock',
  },
  CollectorGaps: { dimensions: '', what: 'nodes that are to serve and were not read' },
  ServiceCpuUtilization: { dimensions: '', what: 'of one core: the whole service' },
  ServiceResidentBytes: { dimensions: '', what: 'memory of the service, by the minute' },
  RestoreDrillSucceeded: {
    dimensions: source,
    what: '1 or 0: how the last restore drill ended, by the minute',
  },
  RestoreDrillAge: { dimensions: source, what: 'since it ended, by the minute' },
};

test('the reference of metrics is what the catalogue says', async () => {
  const rows = Object.fromEntries(
    Object.entries(own).map(([name, row]) => [
      name,
      { ...row, unit: ownMetricUnits[name as keyof typeof ownMetricUnits] },
    ]),
  );
  await expect(metricsReference(rows, tiers)).toMatchFileSnapshot('../docs/reference/metrics.md');
});
