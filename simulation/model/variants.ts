/** Every protocol that is checked, with what must come out. Those that must fail keep the checker honest. */
import { check, type Model, type Verdict } from './checker.ts';
import type { Bounds } from './database.ts';
import { cacheAside } from './protocols/cache-aside.ts';
import { type FailoverOptions, failover } from './protocols/failover.ts';
import { generation } from './protocols/generation.ts';
import { type LeaseOptions, lease } from './protocols/lease.ts';
import { type LogPositionOptions, logPosition } from './protocols/log-position.ts';
import { type NearOptions, nearTier, ours } from './protocols/near-tier.ts';
import { strictWriter } from './protocols/strict-writer.ts';
import { tombstone } from './protocols/tombstone.ts';
import { type StampForm, transactionNumbers } from './protocols/transaction-numbers.ts';
import { type WatermarkOptions, watermark } from './protocols/watermark.ts';

export interface Variant {
  readonly name: string;
  readonly expected: 'holds' | 'fails';
  /** Is it what this library does? */
  readonly ours: boolean;
  /** Checked with at most so many transactions: its faults multiply the states. */
  readonly mostTransactions: number;
  run(bounds: Bounds): Verdict;
}

function variant<S>(
  expected: 'holds' | 'fails' | 'ours',
  name: string,
  model: (bounds: Bounds) => Model<S>,
  mostTransactions = 5,
): Variant {
  return {
    name,
    expected: expected === 'fails' ? 'fails' : 'holds',
    ours: expected === 'ours',
    mostTransactions,
    run: (bounds) =>
      check(model({ ...bounds, transactions: Math.min(bounds.transactions, mostTransactions) })),
  };
}

const watermarkOf = (options: Partial<WatermarkOptions>) => (bounds: Bounds) =>
  watermark(bounds, {
    watermark: 'visible on the primary',
    loadsFrom: 'primary',
    losses: 0,
    crashes: 0,
    applications: 0,
    ...options,
  });
const failoverOf = (options: Partial<FailoverOptions>) => (bounds: Bounds) =>
  failover(bounds, { repairs: true, distrusts: true, failovers: 1, crashes: 0, beats: 2, ...options });
const nearOf = (options: Partial<NearOptions>) => (bounds: Bounds) =>
  nearTier(bounds, { ...ours, ...options });
const leaseOf = (options: LeaseOptions) => (bounds: Bounds) => lease(bounds, options);
const positionOf = (options: LogPositionOptions) => (bounds: Bounds) => logPosition(bounds, options);
const numbersOf = (form: StampForm) => (bounds: Bounds) => transactionNumbers(bounds, { form });
const tombstoneOf = (floor: boolean) => (bounds: Bounds) => tombstone(bounds, { floor });

export const variants: readonly Variant[] = [
  variant('ours', 'visible watermark', watermarkOf({})),
  variant('ours', 'visible watermark: consumer crashes', watermarkOf({ crashes: 1 })),
  variant('ours', 'visible watermark: engine loses data', watermarkOf({ losses: 2, crashes: 1 }), 2),
  variant(
    'ours',
    'visible watermark: application invalidates',
    watermarkOf({ applications: 2, losses: 1 }),
    2,
  ),
  variant(
    'holds',
    'visible watermark: waits for the replica',
    watermarkOf({ watermark: 'visible on the replica', loadsFrom: 'replica' }),
  ),
  variant('fails', 'visible watermark: replica reads', watermarkOf({ loadsFrom: 'replica' })),
  variant('fails', 'consumer-position watermark', watermarkOf({ watermark: 'consumed' })),
  variant('ours', 'failover, repaired', failoverOf({}), 2),
  variant('ours', 'failover, repaired: twice', failoverOf({ failovers: 2, beats: 1 }), 2),
  variant('ours', 'failover, repaired: consumer crashes', failoverOf({ crashes: 1, beats: 1 }), 2),
  variant('fails', 'failover without repair', failoverOf({ repairs: false })),
  variant('fails', 'failover, old beat believed', failoverOf({ distrusts: false })),
  variant('ours', 'near tier', nearOf({}), 3),
  variant('ours', 'near tier: messages lost', nearOf({ losses: 2 }), 2),
  variant('ours', 'near tier: messages reordered', nearOf({ losses: 1, reorders: true }), 2),
  variant('ours', 'near tier: reconnects', nearOf({ losses: 1, reconnects: 1 }), 2),
  variant('fails', 'near tier without check', nearOf({ check: 'none' })),
  variant('fails', 'near tier: message before removal', nearOf({ order: 'message before removal' })),
  variant('fails', 'near tier: lost message, no gap detection', nearOf({ losses: 1, countsGaps: false })),
  variant('fails', 'near tier: kept before the first number', nearOf({ losses: 1, trustsUnnumbered: true })),
  variant('ours', 'generation, after commit', (bounds) =>
    generation(bounds, { invalidates: 'after commit' }),
  ),
  variant('fails', 'DEL before COMMIT', (bounds) => generation(bounds, { invalidates: 'before commit' })),
  variant('holds', 'strict writer', (bounds) => strictWriter(bounds, { marks: true })),
  variant('fails', 'strict writer: plain DEL', (bounds) => strictWriter(bounds, { marks: false })),
  variant('holds', 'event without position: N, xmin >= N', numbersOf('new, reached by xmin')),
  variant('fails', 'event without position: N tested exactly', numbersOf('new exactly')),
  variant('holds', 'snapshot token, set of numbers', numbersOf('set')),
  variant('holds', 'snapshot token, highest < xmin', numbersOf('highest below xmin')),
  variant('fails', 'snapshot token, highest tested exactly', numbersOf('highest exactly')),
  variant('fails', 'snapshot token, last number', numbersOf('last exactly')),
  variant('holds', 'lease, gated', leaseOf({ gate: 'primary', loadsFrom: 'primary' })),
  variant('holds', 'lease, gated on the replica', leaseOf({ gate: 'replica', loadsFrom: 'replica' })),
  variant('fails', 'lease, gated, replica reads', leaseOf({ gate: 'primary', loadsFrom: 'replica' })),
  variant('fails', 'lease without gate', leaseOf({ gate: 'none', loadsFrom: 'primary' })),
  variant('holds', 'replay position on a standby', positionOf({ server: 'replica', asked: 'before' })),
  variant('fails', 'replay position, asked after', positionOf({ server: 'replica', asked: 'after' })),
  variant('fails', 'log position, asked before', positionOf({ server: 'primary', asked: 'before' })),
  variant('fails', 'log position, asked after', positionOf({ server: 'primary', asked: 'after' })),
  variant('holds', 'expiring tombstone with floor', tombstoneOf(true)),
  variant('fails', 'expiring tombstone without floor', tombstoneOf(false)),
  variant('fails', 'plain cache-aside', cacheAside),
];
