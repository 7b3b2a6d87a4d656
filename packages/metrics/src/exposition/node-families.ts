/**
 * (pure) The metrics of nodes as Prometheus has them: names and kinds follow from the list by rules alone, so that a metric that
 * joins the list is there with no more work.
 *
 * - What only rises is a counter: what the list says by the minute is shown as its sum.
 * - Durations that the list has percentiles of are summaries.
 * - Anything else is a gauge: of the last second.
 */
import { nodeMetrics } from '../elasticache/catalogue.ts';
import { type Look, lookAt, type NodeFacts } from '../elasticache/look.ts';
import type { NodeCount } from '../elasticache/node-count.ts';
import type { NodeMetric } from '../elasticache/node-metric.ts';
import type { Unit } from '../metric.ts';
import type { FamilyKind, Sample } from './open-metrics.ts';

export interface NodeFamily {
  readonly name: string;
  readonly kind: FamilyKind;
  readonly unit: string | undefined;
  readonly help: string;
  /** In the namespace AWS/ElastiCache. */
  readonly metricName: string;
}

/** Of one node, from what it has counted since it is watched, and the values of its last second. */
export interface SeenNode {
  readonly count: NodeCount;
  readonly facts: NodeFacts;
  readonly gauges: ReadonlyMap<string, number>;
}

/** A unit's word at the end of a name, and the words that say it elsewhere in one. */
const unitWords: Readonly<Partial<Record<Unit, readonly [suffix: string, ...said: string[]]>>> = {
  Bytes: ['bytes', 'bytes'],
  Percent: ['percent', 'percentage', 'percent'],
  Seconds: ['seconds', 'seconds'],
  Milliseconds: ['milliseconds', 'milliseconds'],
  Microseconds: ['microseconds', 'microseconds'],
};

/** `BytesUsedForCache` in bytes: `larder_used_for_cache_bytes`. */
export function familyName(metricName: string, unit: Unit): string {
  const words = metricName
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1_$2')
    .toLowerCase()
    .split('_');
  const [suffix, ...said] = unitWords[unit] ?? [];
  if (suffix === undefined) return ['larder', ...words].join('_');
  const at = words.findIndex((word) => said.includes(word));
  const others = at === -1 ? words : words.toSpliced(at, 1);
  return ['larder', ...others, suffix].join('_');
}

/** Where what rises is multiplied, what stands has another value, or time goes by faster. */
interface Probe {
  readonly rising: number;
  readonly standing: number;
  readonly seconds: number;
}

/** What a metric is, told by how its value follows what it is made of. */
function kindOf(metric: NodeMetric, engine: NodeFacts['engine']): FamilyKind {
  const value = (change: Partial<Probe>) =>
    metric.value(probeLook({ rising: 1, standing: 3, seconds: 1, ...change }, engine));
  const once = value({});
  if (typeof once === 'object') return 'summary';
  if (once === undefined || once === 0) return 'gauge';
  const grows = value({ rising: 2 }) === 2 * once;
  return grows && value({ standing: 5 }) === once && value({ seconds: 2 }) === once ? 'counter' : 'gauge';
}

function probeLook({ rising, standing, seconds }: Probe, engine: NodeFacts['engine']): Look {
  // Connections of our own are subtracted: there must be something left.
  const rise = (name: string) => rising * (name.startsWith('own_') ? 1 : 1_000);
  return {
    facts: { engine, vcpus: 2, memoryBytes: 2 ** 30, baselineBytesPerSecond: 2 ** 20 },
    seconds,
    bursts: undefined,
    now: () => standing,
    rise,
    riseFromZero: rise,
    riseOf: (prefix) => [['1', rise(prefix)]],
  };
}

function familiesOf(engine: NodeFacts['engine']): readonly (NodeFamily & { readonly metric: NodeMetric })[] {
  return nodeMetrics(engine).map((metric) => ({
    name: familyName(metric.name, metric.unit),
    kind: kindOf(metric, engine),
    unit: unitWords[metric.unit]?.[0],
    help: `ElastiCache's ${metric.name}: ${metric.from}.`,
    metricName: metric.name,
    metric,
  }));
}

const ofEngine = familiesOf('valkey');
const ofMemcached = familiesOf('memcached');

/** By name, those of both engines once. */
export const nodeFamilies: readonly NodeFamily[] = [
  ...new Map([...ofEngine, ...ofMemcached].map(({ metric: _, ...family }) => [family.name, family])).values(),
].sort((a, b) => (a.name < b.name ? -1 : 1));

/** Family -> the node's value; without those that this node does not have now. */
export function nodeValues({ count, facts, gauges }: SeenNode): Map<string, Sample['value']> {
  const values = new Map<string, Sample['value']>();
  // As if everything had been counted since the last look: what rose is all there is.
  const since = lookAt({ before: { ...count, totals: {} }, count, facts });
  for (const { name, kind, metric } of facts.engine === 'memcached' ? ofMemcached : ofEngine) {
    if (kind === 'gauge') {
      const value = gauges.get(metric.name);
      if (value !== undefined) values.set(name, value);
      continue;
    }
    const value = metric.value(since);
    if (typeof value === 'number' && Number.isFinite(value)) values.set(name, value);
    else if (typeof value === 'object') values.set(name, { sum: value.sum, count: value.sampleCount });
    else if (kind === 'summary') values.set(name, { sum: 0, count: 0 });
  }
  return values;
}
