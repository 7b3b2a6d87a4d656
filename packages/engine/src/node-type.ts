/** ElastiCache's node types: what each gives an engine. Memory figures are ElastiCache's own `maxmemory` values. */

export interface NodeType {
  readonly name: string;
  readonly maxmemoryBytes: number;
  readonly vcpus: number;
  /** Clients at once. */
  readonly maxConnections: number;
}

const table: readonly (readonly [name: string, maxmemoryBytes: number, vcpus: number])[] = [
  ['cache.t3.micro', 536_870_912, 2],
  ['cache.t3.small', 1_471_026_299, 2],
  ['cache.t3.medium', 3_317_862_236, 2],
  ['cache.t4g.micro', 536_870_912, 2],
  ['cache.t4g.small', 1_471_026_299, 2],
  ['cache.t4g.medium', 3_317_862_236, 2],
  ['cache.m5.large', 6_854_542_746, 2],
  ['cache.m5.xlarge', 13_891_921_715, 4],
  ['cache.m5.2xlarge', 27_966_669_210, 8],
  ['cache.m5.4xlarge', 56_116_178_125, 16],
  ['cache.m6g.large', 6_854_542_746, 2],
  ['cache.m6g.xlarge', 13_891_921_715, 4],
  ['cache.m6g.2xlarge', 27_966_669_210, 8],
  ['cache.m6g.4xlarge', 56_116_178_125, 16],
  ['cache.m6g.8xlarge', 111_325_552_312, 32],
  ['cache.m6g.12xlarge', 168_715_971_994, 48],
  ['cache.m6g.16xlarge', 225_000_375_228, 64],
  ['cache.r5.large', 14_037_181_030, 2],
  ['cache.r5.xlarge', 28_261_849_702, 4],
  ['cache.r5.2xlarge', 56_711_183_565, 8],
  ['cache.r5.4xlarge', 113_609_865_216, 16],
  ['cache.r6g.large', 14_037_181_030, 2],
  ['cache.r6g.xlarge', 28_261_849_702, 4],
  ['cache.r6g.2xlarge', 56_711_183_565, 8],
  ['cache.r6g.4xlarge', 113_609_865_216, 16],
  ['cache.r6g.8xlarge', 225_000_375_228, 32],
];

export const nodeTypes: ReadonlyMap<string, NodeType> = new Map(
  table.map(([name, maxmemoryBytes, vcpus]) => [
    name,
    { name, maxmemoryBytes, vcpus, maxConnections: connectionsOf(name) },
  ]),
);

/** ElastiCache's figures. */
function connectionsOf(name: string): number {
  if (name.endsWith('.micro')) return 20_000;
  return /\.(?:small|medium)$/.test(name) ? 46_000 : 65_000;
}

/** The smallest; what a request without `CacheNodeType` gets, since this machine is not a data centre. */
export const defaultNodeType = 'cache.t4g.micro';
