/** (pure) Metrics of families of commands: how often they were called, and how long a call took on average. */
import { callsOf, usecOf } from '@larder/engine/counters/engine-counts';
import type { Look } from './look.ts';
import { metric, type NodeMetric, rounded } from './node-metric.ts';

interface Family {
  readonly name: string;
  /** As `callsOf` has it. */
  readonly counted: string;
  readonly dimensions: NodeMetric['dimensions'];
  /** Of a module: there is nothing to say where it is not loaded. */
  readonly module?: true;
}

const families: readonly Family[] = [
  { name: 'ClusterBasedCmds', counted: 'cluster', dimensions: 'pair' },
  { name: 'EvalBasedCmds', counted: 'eval', dimensions: 'both' },
  { name: 'GeoSpatialBasedCmds', counted: 'geospatial', dimensions: 'both' },
  { name: 'GetTypeCmds', counted: 'read', dimensions: 'both' },
  { name: 'HashBasedCmds', counted: 'hash', dimensions: 'both' },
  { name: 'HyperLogLogBasedCmds', counted: 'hyperloglog', dimensions: 'both' },
  { name: 'JsonBasedCmds', counted: 'json', dimensions: 'both', module: true },
  { name: 'JsonBasedGetCmds', counted: 'json-read', dimensions: 'pair', module: true },
  { name: 'JsonBasedSetCmds', counted: 'json-write', dimensions: 'pair', module: true },
  { name: 'KeyBasedCmds', counted: 'key', dimensions: 'both' },
  { name: 'ListBasedCmds', counted: 'list', dimensions: 'both' },
  { name: 'NonKeyTypeCmds', counted: 'keyless', dimensions: 'pair' },
  { name: 'PubSubBasedCmds', counted: 'pubsub', dimensions: 'both' },
  { name: 'SearchBasedCmds', counted: 'search', dimensions: 'both', module: true },
  { name: 'SearchBasedGetCmds', counted: 'search-read', dimensions: 'pair', module: true },
  { name: 'SearchBasedSetCmds', counted: 'search-write', dimensions: 'pair', module: true },
  { name: 'SetBasedCmds', counted: 'set', dimensions: 'both' },
  { name: 'SetTypeCmds', counted: 'write', dimensions: 'both' },
  { name: 'SortedSetBasedCmds', counted: 'sorted-set', dimensions: 'both' },
  { name: 'StreamBasedCmds', counted: 'stream', dimensions: 'both' },
  { name: 'StringBasedCmds', counted: 'string', dimensions: 'both' },
];

export const familyMetrics: readonly NodeMetric[] = families.flatMap(
  ({ name, counted, dimensions, module }) => [
    metric(
      dimensions,
      'Count',
      name,
      `commandstats: calls of ${counted} commands`,
      ({ rise, riseFromZero }) => (module === true ? rise(callsOf(counted)) : riseFromZero(callsOf(counted))),
    ),
    metric(
      dimensions,
      'Microseconds',
      `${name}Latency`,
      `commandstats: usec for a call of ${counted} commands`,
      (look) => perCall(look, counted),
    ),
  ],
);

function perCall({ rise }: Look, counted: string): number | undefined {
  const calls = rise(callsOf(counted));
  const usec = rise(usecOf(counted));
  return calls === undefined || usec === undefined || calls <= 0 ? undefined : rounded(usec / calls);
}
