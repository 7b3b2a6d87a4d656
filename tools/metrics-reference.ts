/** (pure) docs/reference/metrics.md, from the catalogue of metrics. */
import { groupMetrics, leftOut, nodeMetrics } from '@larder/metrics/elasticache/catalogue';
import type { NodeMetric } from '@larder/metrics/elasticache/node-metric';

export interface OwnMetric {
  readonly unit: string;
  readonly dimensions: string;
  readonly what: string;
}

export interface Kept {
  readonly seconds: number;
  readonly keptMs: number;
}

export function metricsReference(own: Readonly<Record<string, OwnMetric>>, kept: readonly Kept[]): string {
  const engine = nodeMetrics('valkey');
  const memcached = nodeMetrics('memcached');
  return `# Metrics

Made from \`packages/metrics/src/elasticache/\` by \`npx vitest run tools/metrics-reference.test.ts -u\`.

Every node is read once a second on its host, and its metrics are those of ElastiCache, by name, unit and dimensions, in the
namespace \`AWS/ElastiCache\`. Read them with [CloudWatch's API](cloudwatch.md).

- A minute has one datum, as on AWS: of what is counted the increase within the minute, of what stands its value at the end.
  Periods shorter than a minute are made of the seconds.
- A node that does not answer, or loads its data, has no data: a gap is a gap, and no zero. What rose in a gap is in its minute;
  a minute without any reading has none. A restart of the engine or of the service loses nothing of the minute.
- Connections leave out the service's own, replicas' and the one to the primary. The service's own commands are counted: two a
  second (INFO, LATENCY HISTOGRAM) and two or more every 5 s, and five PINGs a second; some 10 kB a second out.
- \`both\`: under CacheClusterId and CacheNodeId, and under CacheClusterId alone, where the statistics are over the cluster's
  nodes; \`pair\`: under CacheClusterId and CacheNodeId only. Members of a group are clusters with the node 0001.
- Percentiles need values: of latencies they are right within a third (the engine's histogram is by octaves); of others they are
  known in periods of a minute and, for ranges of up to three days, in longer ones.

| data by | are kept for |
|---|---|
${kept.map(({ seconds, keptMs }) => `| ${lengthOf(seconds * 1_000)} | ${lengthOf(keptMs)} |`).join('\n')}

## Valkey and Redis

${table(engine)}

## Memcached

${table(memcached)}

## Replication groups

The statistics are over the members.

| metric | unit | besides ReplicationGroupId alone |
|---|---|---|
${groupMetrics.map(({ name, unit, by }) => `| ${name} | ${unit} | ${by.join('; ')} |`).join('\n')}

## Larder's own

In the namespace \`Larder\`.

| metric | unit | dimensions | what it is |
|---|---|---|---|
${Object.entries(own)
  .map(([name, { unit, dimensions, what }]) => `| ${name} | ${unit} | ${dimensions} | ${what} |`)
  .join('\n')}

## Left out

| metric | why |
|---|---|
${leftOut.map(({ names, because }) => `| ${names.join(', ')} | ${because} |`).join('\n')}
`;
}

function table(metrics: readonly NodeMetric[]): string {
  const rows = metrics.map(
    ({ name, unit, dimensions, from }) => `| ${name} | ${unit} | ${dimensions} | ${from} |`,
  );
  return ['| metric | unit | dimensions | derived from |', '|---|---|---|---|', ...rows].join('\n');
}

function lengthOf(ms: number): string {
  const units = [
    ['day', 86_400_000],
    ['hour', 3_600_000],
    ['minute', 60_000],
    ['second', 1_000],
  ] as const;
  const [name, size] = units.find(([, each]) => ms % each === 0 && ms >= each)!;
  return `${ms / size} ${name}${ms === size ? '' : 's'}`;
}
