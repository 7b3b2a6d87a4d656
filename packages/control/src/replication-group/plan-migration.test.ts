import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkPlan } from './check-plan.ts';
import {
  absent,
  type Change,
  dead,
  input,
  keys,
  lineage,
  replicatedGroup,
  replication,
  silent,
} from './group.test-support.ts';
import { plan } from './plan.ts';
import { type Migration, membersOf, type ReplicationGroup } from './replication-group.ts';
import type { Plan, Step } from './step.ts';

const source = { address: '10.0.0.7', port: 7_000 };

function migrating(members = 2, change: Partial<Migration> = {}): ReplicationGroup {
  return replicatedGroup(members, { status: 'migrating', migration: { source, inSync: true, ...change } });
}

const following: Change = replication({ role: 'replica', primary: { ...source, linkUp: true } });
const cutOff: Change = replication({ role: 'replica', primary: { ...source, linkUp: false } });

function kinds({ steps }: Plan): string[] {
  return steps.map((step) => ('member' in step ? `${step.kind} ${step.member}` : step.kind));
}

function step<Kind extends Step['kind']>({ steps }: Plan, kind: Kind) {
  return steps.find((each): each is Step & { kind: Kind } => each.kind === kind);
}

describe('a group that takes on data', () => {
  test('has its primary follow the source, and leaves everything else', () => {
    expect(kinds(plan(input(migrating())))).toEqual(['follow-source shop-001']);
    expect(plan(input(migrating(), { 'shop-001': following }))).toMatchObject({
      steps: [],
      converged: false,
    });
  });

  test('says when the copy is whole, and when the link is lost', () => {
    const begun = migrating(2, { inSync: false });
    expect(step(plan(input(begun, { 'shop-001': following })), 'note-source')?.inSync).toBe(true);
    expect(step(plan(input(migrating(), { 'shop-001': cutOff })), 'note-source')?.inSync).toBe(false);
  });

  test('whose primary dies has the replica with the same history follow the source', () => {
    const made = plan(input(migrating(), { 'shop-001': dead }));
    expect(kinds(made).slice(0, 2)).toEqual(['decide-primary shop-002', 'follow-source shop-002']);
    expect(kinds(made)).not.toContain('promote shop-002');
  });

  test('keeps the history of its source, to know its own copies by it', () => {
    const other = replication({
      role: 'replica',
      primary: { ...source, linkUp: true },
      replicationId: 'c'.repeat(40),
    });
    expect(plan(input(migrating(), { 'shop-001': other })).lineages).toEqual(
      new Map([['0001', 'c'.repeat(40)]]),
    );
  });
});

describe('a migration that is to end', () => {
  const ending = migrating(2, { completing: 'in-sync' });
  const made = (change: Change, sourceOffset?: number, group = ending) =>
    plan(input(group, { 'shop-001': change }, sourceOffset === undefined ? {} : { sourceOffset }));

  test('waits until everything has arrived', () => {
    expect(made(following, 1_001)).toMatchObject({ steps: [], waitingFor: ['the last of the source'] });
    expect(made(following)).toMatchObject({ steps: [], waitingFor: ['the source to answer'] });
    expect(kinds(made(cutOff, 1_000))).toEqual(['note-source']);
    expect(kinds(made(following, 1_000))).toEqual(['leave-source shop-001']);
  });

  test('ends once it has left, by a node that was promoted out of the history', () => {
    const promoted = replication({ replicationId: 'd'.repeat(40), previousReplicationId: lineage });
    expect(kinds(made(promoted))).toEqual(['leave-source shop-001', 'end-migration']);
  });

  test('does not end with a node that was started anew, empty', () => {
    const fresh = replication({ replicationId: 'd'.repeat(40) });
    expect(kinds(made(fresh))).toEqual(['follow-source shop-001']);
  });

  test('by force ends as it is', () => {
    const forced = migrating(2, { completing: 'at-once' });
    expect(kinds(made(cutOff, undefined, forced))).toContain('leave-source shop-001');
    const fresh = replication({ replicationId: 'd'.repeat(40) });
    expect(kinds(made(fresh, undefined, forced))).toContain('end-migration');
  });
});

test('whatever is seen: no plan breaks an invariant, and nobody is promoted beside the source', () => {
  const changes = fc.oneof(
    fc.constantFrom<Change>((same) => same, following, cutOff, dead, absent, silent, keys(0)),
    fc
      .record({ role: fc.constantFrom('primary' as const, 'replica' as const), offset: fc.nat(2_000) })
      .map(replication),
  );
  const groups = fc
    .record({
      completing: fc.constantFrom(undefined, 'in-sync' as const, 'at-once' as const),
      inSync: fc.boolean(),
      members: fc.integer({ min: 1, max: 3 }),
    })
    .map(({ members, completing, inSync }) =>
      migrating(members, { inSync, ...(completing !== undefined && { completing }) }),
    );
  fc.assert(
    fc.property(
      groups,
      fc.array(changes, { minLength: 3, maxLength: 3 }),
      fc.option(fc.nat(2_000)),
      (group, list, offset) => {
        const given = input(
          group,
          Object.fromEntries(membersOf(group).map(({ id }, index) => [id, list[index]!])),
          offset === null ? {} : { sourceOffset: offset },
        );
        const { steps } = plan(given);
        expect(checkPlan(steps, group, given.observations)).toEqual([]);
        expect(steps.filter(({ kind }) => kind === 'promote' || kind === 'switch-over')).toEqual([]);
        if (group.migration!.completing === undefined) {
          expect(steps.filter(({ kind }) => kind === 'leave-source')).toEqual([]);
        }
      },
    ),
    { numRuns: 500 },
  );
});
