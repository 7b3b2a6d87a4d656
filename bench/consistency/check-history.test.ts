import { describe, expect, test } from 'vitest';
import { seededRandom } from '../seeded-random.ts';
import { checkHistory } from './check-history.ts';
import { type History, type ReadBatch, ReadLog, type WriteRecord } from './history.ts';

const boundMs = 250;

function write(key: number, state: number, atMs: number, more: Partial<WriteRecord> = {}): WriteRecord {
  return {
    key,
    state,
    absent: false,
    sentMs: atMs - 1,
    returnedMs: atMs,
    position: BigInt(atMs),
    ...more,
  };
}

interface Read {
  readonly version: number;
  readonly at: number;
  readonly key?: number;
  readonly far?: boolean;
}

function reads(...list: readonly Read[]): ReadBatch[] {
  const batches: ReadBatch[] = [];
  const log = new ReadLog((batch) => batches.push(batch));
  for (const { version, at, key = 1, far = false } of list) log.add(key, version, at, at + 1, far);
  log.flush();
  return batches;
}

/** Key 1: state 1 at 0, 2 at 1000, 3 (absent) at 2000, 4 at 3000. Confirmed 10 ms later each. */
const base: History = {
  writes: [write(1, 1, 0), write(1, 2, 1_000), write(1, 3, 2_000, { absent: true }), write(1, 4, 3_000)],
  sightings: [],
  acknowledgements: [1_000, 2_000, 3_000].map((atMs) => ({ position: BigInt(atMs), atMs: atMs + 10 })),
  reads: [],
  lostConfirmations: [],
};

const rules = (history: Partial<History>) => checkHistory({ ...base, ...history }, boundMs).violations;
const none = { bound: 0, far: 0, origin: 0 };

describe('the bound', () => {
  test('a replaced state may be read until the bound, and not a moment later', () => {
    expect(rules({ reads: reads({ version: 1, at: 1_250 }) })).toEqual(none);
    expect(rules({ reads: reads({ version: 1, at: 1_250.1 }) })).toEqual({ ...none, bound: 1 });
    expect(rules({ reads: reads({ version: 4, at: 99_000 }) })).toEqual(none);
  });

  test('the violation names what was needed and how late it was', () => {
    const { examples, oldestMs, replaced } = checkHistory(
      { ...base, reads: reads({ version: 1, at: 3_100 }, { version: 2, at: 2_100 }) },
      boundMs,
    );
    expect(examples).toEqual([
      { rule: 'bound', key: 1, version: 1, needed: 3, startedMs: 3_100, overdueMs: 2_100 },
    ]);
    expect(oldestMs).toBe(2_100);
    expect(replaced).toBe(2);
  });

  test('an absent row is a state like another', () => {
    expect(rules({ reads: reads({ version: 0, at: 2_500 }, { version: 0, at: 3_200 }) })).toEqual(none);
    expect(rules({ reads: reads({ version: 0, at: 3_300 }) })).toEqual({ ...none, bound: 1 });
    expect(rules({ reads: reads({ version: 2, at: 2_300 }) })).toEqual({ ...none, bound: 1 });
  });

  test('a commit whose answer was lost counts from when somebody saw it, or a later one', () => {
    const lost = { returnedMs: Number.NaN, position: undefined };
    const writes = [write(1, 1, 0), write(1, 2, 1_000, lost), write(1, 3, 5_000)];
    const read = reads({ version: 1, at: 4_000 });
    expect(rules({ writes, reads: read })).toEqual(none);
    expect(rules({ writes, reads: read, sightings: [{ key: 1, state: 2, atMs: 3_740 }] })).toEqual({
      ...none,
      bound: 1,
    });
    expect(rules({ writes, reads: reads({ version: 1, at: 5_300 }) })).toEqual({ ...none, bound: 1 });
  });

  test('what a reader of the database saw counts before the writer has its answer', () => {
    const writes = [write(1, 1, 0), write(1, 2, 3_000, { sentMs: 900 })];
    const read = reads({ version: 1, at: 1_400 });
    expect(rules({ writes, reads: read })).toEqual(none);
    expect(rules({ writes, reads: read, sightings: [{ key: 1, state: 2, atMs: 1_000 }] })).toEqual({
      ...none,
      bound: 1,
    });
  });
});

describe('the shared tier', () => {
  test('gives nothing older than what it confirmed before the read began', () => {
    expect(rules({ reads: reads({ version: 1, at: 1_009, far: true }) })).toEqual(none);
    expect(rules({ reads: reads({ version: 1, at: 1_011, far: true }) })).toEqual({ ...none, far: 1 });
    expect(rules({ reads: reads({ version: 1, at: 1_011 }) })).toEqual(none);
    expect(rules({ reads: reads({ version: 2, at: 1_011, far: true }) })).toEqual(none);
  });

  test('a failover that lost confirmations excuses that, and is counted; never the bound', () => {
    const lostConfirmations = [{ fromMs: 1_005, toMs: 1_600 }];
    const history = { ...base, lostConfirmations };
    const excused = checkHistory({ ...history, reads: reads({ version: 1, at: 1_011, far: true }) }, boundMs);
    expect(excused).toMatchObject({ violations: none, excused: 1, farReads: 0 });
    expect(rules({ lostConfirmations, reads: reads({ version: 1, at: 1_500, far: true }) }).bound).toBe(1);
  });
});

describe('the origin', () => {
  test('a version that nobody wrote, or that was written after the read, is found', () => {
    expect(rules({ reads: reads({ version: 5, at: 9_000 }) })).toEqual({ ...none, origin: 1 });
    expect(rules({ reads: reads({ version: -1, at: 9_000 }) })).toEqual({ ...none, origin: 1 });
    expect(rules({ reads: reads({ version: 4, at: 2_900 }) })).toEqual({ ...none, origin: 1 });
    expect(rules({ reads: reads({ version: 3, at: 2_100 }) })).toEqual({ ...none, origin: 1 });
    expect(rules({ reads: reads({ version: 0, at: 1_500 }) })).toEqual({ ...none, origin: 1 });
    expect(rules({ reads: reads({ version: 1, at: 0, key: 2 }) })).toEqual({ ...none, origin: 1 });
  });

  test('a number that was given out twice may mean either', () => {
    const lost = { returnedMs: Number.NaN, position: undefined, absent: true };
    const writes = [write(1, 1, 0), write(1, 2, 1_000, lost), write(1, 2, 1_100)];
    expect(rules({ writes, reads: reads({ version: 2, at: 1_500 }, { version: 0, at: 1_050 }) })).toEqual(
      none,
    );
  });
});

/** A cache that behaves: every read returns what was visible at some moment within the bound before it. */
function goodHistory(random: () => number): History {
  const writes: WriteRecord[] = [];
  const acknowledgements = [];
  const batches: ReadBatch[] = [];
  const log = new ReadLog((batch) => batches.push(batch));
  for (let key = 1; key <= 5; key += 1) {
    writes.push(write(key, 1, 0));
    let atMs = 0;
    for (let state = 2; state <= 30; state += 1) {
      atMs += Math.ceil(20 + random() * 600);
      writes.push(write(key, state, atMs, { absent: random() < 0.2 }));
      acknowledgements.push({ position: BigInt(atMs), atMs: atMs + 5 });
    }
  }
  for (let count = 0; count < 2_000; count += 1) {
    const key = 1 + Math.floor(random() * 5);
    const startedMs = random() * 8_000;
    const far = random() < 0.5;
    const seenMs = startedMs - (far ? 0 : random() * boundMs);
    const seen = writes.findLast((each) => each.key === key && each.returnedMs <= Math.max(0, seenMs))!;
    log.add(key, seen.absent ? 0 : seen.state, startedMs, startedMs + 1, far);
  }
  log.flush();
  return { writes, acknowledgements, sightings: [], reads: batches, lostConfirmations: [] };
}

describe('mutations of good histories', () => {
  const seed = 20_26;
  const random = seededRandom(seed);
  const good = goodHistory(random);
  const rows = good.reads.reduce((sum, { keys }) => sum + keys.length, 0);

  test('the good one is good', () => {
    expect(checkHistory(good, boundMs)).toMatchObject({ reads: rows, violations: none });
  });

  test('every read that is made too old is caught', () => {
    let made = 0;
    for (let attempt = 0; attempt < 300; attempt += 1) {
      const at = Math.floor(random() * rows);
      const all = flat(good);
      const { keys, startedMs, versions } = all;
      const key = keys[at]!;
      const outdated = good.writes.filter(
        (each, index) =>
          each.key === key &&
          !each.absent &&
          (good.writes[index + 1]?.key === key
            ? good.writes[index + 1]!.returnedMs
            : Number.POSITIVE_INFINITY) <
            startedMs[at]! - boundMs,
      );
      const chosen = outdated[Math.floor(random() * outdated.length)];
      if (chosen === undefined) continue;
      made += 1;
      versions[at] = chosen.state;
      const mutated = { ...good, reads: [{ ...all, versions }] };
      expect(checkHistory(mutated, boundMs).violations.bound).toBe(1);
    }
    expect(made).toBeGreaterThan(100);
  });

  test('a bound that was kept by luck only is caught when the reads began later', () => {
    const { startedMs, endedMs, ...rest } = flat(good);
    const late = {
      ...good,
      reads: [
        { ...rest, startedMs: startedMs.map((at) => at + 400), endedMs: endedMs.map((at) => at + 400) },
      ],
    };
    const { violations } = checkHistory(late, boundMs);
    expect(violations.bound).toBeGreaterThan(100);
    expect(violations.far).toBeGreaterThan(violations.bound / 4);
  });

  test('a lost write is caught', () => {
    const all = flat(good);
    const at = all.versions.findIndex((version) => version > 1);
    const [key, state] = [all.keys[at], all.versions[at]];
    const gone = good.writes.filter((each) => !(each.key === key && each.state === state));
    const readers = all.versions.filter((version, row) => version === state && all.keys[row] === key);
    expect(checkHistory({ ...good, writes: gone }, boundMs).violations.origin).toBe(readers.length);
  });
});

function flat({ reads: batches }: History): ReadBatch {
  const join = (column: (batch: ReadBatch) => ArrayLike<number>): number[] =>
    batches.flatMap((batch) => Array.from(column(batch)));
  return {
    keys: Uint16Array.from(join(({ keys }) => keys)),
    versions: Int32Array.from(join(({ versions }) => versions)),
    startedMs: Float64Array.from(join(({ startedMs }) => startedMs)),
    endedMs: Float64Array.from(join(({ endedMs }) => endedMs)),
    far: Uint8Array.from(join(({ far }) => far)),
  };
}
