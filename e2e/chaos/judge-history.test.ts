import { describe, expect, test } from 'vitest';
import type { History, Probe, Write } from './history.ts';
import { figuresOf, splitBrainMs } from './judge-history.ts';

const faultMs = 1_000;
const victim = { shard: 0, primary: 'old' };

/** Acknowledged a millisecond after it was sent, unless told otherwise. */
function written(number: number, sentMs: number, more: Partial<Write> = {}): Write {
  return { number, shard: 0, sentMs, ackedMs: sentMs + 1, ...more };
}

function probe(node: string, sentMs: number, more: Partial<Probe> = {}): Probe {
  return { node, shard: 0, sentMs, answeredMs: sentMs + 1, accepted: true, ...more };
}

function history(more: Partial<History>): History {
  return {
    faultMs,
    endedMs: 2_000,
    victim,
    writes: [],
    clinging: [],
    besideAckedMs: [],
    missing: { writes: [], clinging: [] },
    probes: [],
    reads: { count: 0, stale: 0, gapMs: 0 },
    fullSyncs: 0,
    errors: {},
    ...more,
  };
}

/** A write every 10 ms from 500 ms on, but none acknowledged between the two times. */
function writesWithout(fromMs: number, toMs: number): Write[] {
  return Array.from({ length: 150 }, (_, index) => {
    const sentMs = 500 + index * 10;
    return written(index, sentMs, { ackedMs: sentMs >= fromMs && sentMs < toMs ? undefined : sentMs + 1 });
  });
}

describe('the write gap', () => {
  test('is the longest time between two acknowledgements that ends after the fault', () => {
    const figures = figuresOf(history({ writes: writesWithout(1_000, 1_230) }));
    expect(figures.gapMs).toBe(240);
    expect(figures.quietGapMs).toBe(10);
  });

  test('does not count what was before the fault', () => {
    const figures = figuresOf(history({ writes: writesWithout(600, 900) }));
    expect(figures.gapMs).toBe(10);
    expect(figures.quietGapMs).toBe(310);
  });

  test('counts writes answered late at the time of their answer', () => {
    const writes = [written(0, 995), written(1, 1_000, { ackedMs: 1_400 }), written(2, 1_990)];
    const figures = figuresOf(history({ writes }));
    expect(figures.gapMs).toBe(591);
    expect(figures.worstLatencyMs).toBe(400);
  });

  test('goes on until the end when nothing was acknowledged any more', () => {
    expect(figuresOf(history({ writes: writesWithout(1_000, 9_000) })).gapMs).toBe(2_000 - 991);
  });

  test('of other shards is told apart', () => {
    const writes = [
      ...writesWithout(1_000, 1_230),
      ...writesWithout(1_000, 1_030).map((each) => ({ ...each, shard: 1 })),
    ];
    const figures = figuresOf(history({ writes }));
    expect([figures.gapMs, figures.otherShardsGapMs]).toEqual([240, 40]);
    expect(figuresOf(history({ writes: writesWithout(0, 0) })).otherShardsGapMs).toBeNaN();
  });
});

test('lost are the acknowledged writes of either client that are gone', () => {
  const figures = figuresOf(
    history({
      writes: [written(0, 900), written(1, 990)],
      clinging: [written(0, 995)],
      missing: { writes: [1], clinging: [0] },
    }),
  );
  expect([figures.acknowledged, figures.lost]).toEqual([3, 2]);
});

describe('zombie writes', () => {
  const probes = [probe('old', 980), probe('new', 1_099)];

  test('are acknowledged by the old primary although they were sent after the new one took a write', () => {
    const clinging = [written(0, 990), written(1, 1_090), written(2, 1_150), written(3, 1_160)];
    const figures = figuresOf(history({ probes, clinging }));
    expect(figures).toMatchObject({ zombies: 2, successorMs: 100 });
  });

  test('sent before and acknowledged after count only when they are gone', () => {
    const clinging = [written(0, 990, { ackedMs: 1_200 }), written(1, 991, { ackedMs: 1_201 })];
    expect(figuresOf(history({ probes, clinging })).zombies).toBe(0);
    const missing = { writes: [], clinging: [1] };
    expect(figuresOf(history({ probes, clinging, missing })).zombies).toBe(1);
  });

  test('of a client that goes where it is sent are those that are gone', () => {
    const writes = [written(0, 1_150), written(1, 1_160), written(2, 1_050)];
    const missing = { writes: [1, 2], clinging: [] };
    expect(figuresOf(history({ probes, writes, missing }))).toMatchObject({ zombies: 1, lost: 2 });
  });

  test('need a successor: what is lost without one is only lost', () => {
    const figures = figuresOf(
      history({
        probes: [probe('old', 980)],
        writes: [written(0, 1_150)],
        missing: { writes: [0], clinging: [] },
      }),
    );
    expect(figures).toMatchObject({ zombies: 0, lost: 1 });
    expect(figures.successorMs).toBeNaN();
  });
});

describe('two primaries at once', () => {
  const every20 = (node: string, fromMs: number, toMs: number, shard = 0) => {
    const probes: Probe[] = [];
    for (let sentMs = fromMs; sentMs <= toMs; sentMs += 20) probes.push(probe(node, sentMs, { shard }));
    return probes;
  };

  test('one after the other are none', () => {
    expect(splitBrainMs([...every20('old', 900, 1_000), ...every20('new', 1_010, 1_200)])).toBe(0);
  });

  test('both for a time are that time', () => {
    // old: answered 901 to sent 1100; new: answered 1001 on.
    expect(splitBrainMs([...every20('old', 900, 1_100), ...every20('new', 1_000, 1_200)])).toBe(99);
  });

  test('of different shards are none', () => {
    expect(splitBrainMs([...every20('old', 900, 1_100), ...every20('new', 900, 1_100, 1)])).toBe(0);
  });

  test('a refusal in between ends a time', () => {
    const old = [...every20('old', 900, 1_000), probe('old', 1_020, { accepted: false })];
    expect(splitBrainMs([...old, ...every20('new', 1_030, 1_200)])).toBe(0);
    expect(splitBrainMs([...old, probe('old', 1_100), ...every20('new', 1_030, 1_200)])).toBe(20);
  });

  test('a probe that was answered late may have been taken when it was sent', () => {
    const late = probe('old', 990, { answeredMs: 1_500 });
    const others = every20('new', 1_010, 1_600);
    expect(splitBrainMs([...every20('old', 900, 970), late, ...others])).toBe(0);
    expect(splitBrainMs([late, probe('old', 1_510), probe('old', 1_530), ...others])).toBe(19);
  });
});
