import {
  countSlots,
  listSlots,
  rangesOf,
  type SlotRange,
  slotCount,
  splitEvenly,
  tileAllSlots,
} from '@larder/engine/slots';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkPlan } from './check-plan.ts';
import { absent, type Change, clusterGroup, dead, input, silent } from './group.test-support.ts';
import { plan } from './plan.ts';
import { membersOf, type NodeGroup, type ReplicationGroup } from './replication-group.ts';
import { targetSlots } from './reshard-targets.ts';
import type { Plan, Step } from './step.ts';

function kinds({ steps }: Plan): string[] {
  return steps.map((step) =>
    'member' in step
      ? `${step.kind} ${step.member}`
      : 'nodeGroup' in step
        ? `${step.kind} ${step.nodeGroup}`
        : 'nodeGroups' in step
          ? `${step.kind} ${step.nodeGroups}`
          : step.kind,
  );
}

function step<Kind extends Step['kind']>({ steps }: Plan, kind: Kind) {
  return steps.find((each): each is Step & { kind: Kind } => each.kind === kind);
}

/** `shards` shards that are to become those of `staying`; the others have what they had. */
function resharding(
  shards: number,
  staying: readonly string[],
  change: (nodeGroup: NodeGroup) => NodeGroup = (same) => same,
): ReplicationGroup {
  const group = clusterGroup(shards, 1);
  const nodeGroups = group.nodeGroups.map(change);
  const targets = targetSlots(new Map(nodeGroups.map(({ id, slots }) => [id, slots])), staying);
  return {
    ...group,
    status: 'modifying',
    nodeGroups: nodeGroups.map((nodeGroup) => ({
      ...nodeGroup,
      resharding: {
        slots: targets.get(nodeGroup.id) ?? [],
        gains: 0,
        leaving: !staying.includes(nodeGroup.id),
      },
    })),
  };
}

const three = ['0001', '0002', '0003'];
/** The third of three shards is new: two had all slots. */
const withNew = (formed = true) =>
  resharding(3, three, (nodeGroup) => ({
    ...nodeGroup,
    formed: nodeGroup.id === '0003' ? formed : true,
    slots: nodeGroup.id === '0003' ? [] : [splitEvenly(2)[Number(nodeGroup.id) - 1]!],
  }));

/** The engine moves whole slots by itself, and says this of moves. */
function atomic(
  moves: NonNullable<NonNullable<ReturnType<Change>['engine']>['cluster']>['slotMigrations'] = [],
): Change {
  return (seen) => ({
    ...seen,
    engine: { ...seen.engine!, cluster: { ...seen.engine!.cluster!, slotMigrations: moves! } },
  });
}

const everywhere = (group: ReplicationGroup, change: Change) =>
  Object.fromEntries(membersOf(group).map(({ id }) => [id, change]));

function open(slot: number, direction: 'importing' | 'migrating', peerId: string): Change {
  return (seen) => ({
    ...seen,
    engine: {
      ...seen.engine!,
      cluster: {
        ...seen.engine!.cluster!,
        peers: seen.engine!.cluster!.peers.map((peer) =>
          peer.myself
            ? { ...peer, openSlots: [...(peer.openSlots ?? []), { slot, direction, peerId }] }
            : peer,
        ),
      },
    },
  });
}

describe('targets', () => {
  const shards = fc.integer({ min: 1, max: 12 });
  const shardId = (index: number) => String(index + 1).padStart(4, '0');

  test('cover every slot once, differ by at most one, and move no slot that could stay', () => {
    fc.assert(
      fc.property(
        shards,
        shards,
        fc.nat(3),
        fc.infiniteStream(fc.nat(11)),
        (before, after, first, choice) => {
          const now = new Map<string, SlotRange[]>();
          const lists = Array.from({ length: before }, (): number[] => []);
          for (let slot = 0; slot < slotCount; slot += 64) {
            const list = lists[Number(choice.next().value) % before]!;
            for (let each = slot; each < slot + 64; each += 1) list.push(each);
          }
          for (const [index, list] of lists.entries()) now.set(shardId(index), rangesOf(list));
          const staying = Array.from({ length: after }, (_, index) => shardId(index + first));
          const targets = targetSlots(now, staying);

          expect(tileAllSlots([...targets.values()])).toBe(true);
          const sizes = staying.map((id) => countSlots(targets.get(id)!));
          expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
          for (const id of now.keys()) if (!staying.includes(id)) expect(targets.get(id)).toEqual([]);
          for (const id of staying) {
            const had = new Set(listSlots(now.get(id) ?? []));
            const kept = listSlots(targets.get(id)!).filter((slot) => had.has(slot)).length;
            // It keeps all it had, up to its share.
            expect(kept).toBe(Math.min(had.size, countSlots(targets.get(id)!)));
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  test('four of three: a quarter of all slots moves', () => {
    const now = new Map(splitEvenly(3).map((range, index) => [three[index]!, [range]]));
    const targets = targetSlots(now, [...three, '0004']);
    expect(countSlots(targets.get('0004')!)).toBe(slotCount / 4);
  });
});

describe('a shard that is new', () => {
  const member = (index: number) => `shop-0003-00${index}`;
  /** Runs, and nobody knows it yet. */
  const alone: Change = (seen) => ({
    ...seen,
    engine: {
      ...seen.engine!,
      info: {
        ...seen.engine!.info,
        keys: 0,
        replication: { ...seen.engine!.info.replication, role: 'primary', replicas: [] },
      },
      cluster: {
        state: 'fail',
        peers: seen
          .engine!.cluster!.peers.filter((peer) => peer.myself)
          .map(({ primaryId: _, ...peer }) => ({ ...peer, role: 'primary' as const, slots: [] })),
      },
    },
  });
  const unknown =
    (ids: readonly string[]): Change =>
    (seen) => ({
      ...seen,
      engine: {
        ...seen.engine!,
        cluster: {
          ...seen.engine!.cluster!,
          peers: seen.engine!.cluster!.peers.filter(({ id }) => !ids.includes(id)),
        },
      },
    });
  const newIds = [1, 2].map((index) => `id-${member(index)}`);
  const others = (change: Change) =>
    Object.fromEntries(
      membersOf(withNew())
        .filter(({ id }) => !id.startsWith('shop-0003'))
        .map(({ id }) => [id, change]),
    );

  test('is started, both of its nodes on their own', () => {
    const made = plan(
      input(withNew(false), { ...others(unknown(newIds)), [member(1)]: absent, [member(2)]: absent }),
    );
    expect(kinds(made)).toEqual([`start-node ${member(1)}`, `start-node ${member(2)}`]);
  });

  test('meets the others, gets no slots and forms no cluster of its own', () => {
    const made = plan(
      input(withNew(false), { ...others(unknown(newIds)), [member(1)]: alone, [member(2)]: alone }),
    );
    expect(kinds(made)).toEqual(['meet shop-0001-001', 'meet shop-0002-001', `meet ${member(2)}`]);
  });

  test('in sync and known, it is given functions and is whole', () => {
    const made = plan(input(withNew(false)));
    expect(kinds(made)).toEqual([`copy-functions ${member(1)}`, 'form-shards 0003']);
  });

  test('whole, it is given slots by both others', () => {
    const made = plan(input(withNew(), everywhere(withNew(), atomic())));
    expect(kinds(made)).toEqual(['migrate-slots shop-0001-001', 'migrate-slots shop-0002-001']);
    const moved = made.steps.flatMap((each) => (each.kind === 'migrate-slots' ? each.moves : []));
    expect(moved.map(({ target, targetClusterNodeId }) => [target, targetClusterNodeId])).toEqual(
      Array(2).fill([member(1), `id-${member(1)}`]),
    );
  });

  test('without slots yet, its lost primary is followed without a vote: nobody would vote', () => {
    const made = plan(input(withNew(), { [member(1)]: dead }));
    expect(step(made, 'elect')).toMatchObject({
      member: member(2),
      how: 'takeover',
      fence: { kind: 'dead' },
    });
  });
});

describe('slots on their way', () => {
  const group = withNew();
  const source = 'shop-0001-001';
  const target = 'shop-0003-001';

  test('a lost primary is replaced first', () => {
    const made = plan(input(group, { ...everywhere(group, atomic()), [source]: dead }));
    expect(kinds(made).filter((kind) => /slots/.test(kind))).toEqual([]);
    expect(step(made, 'elect')?.member).toBe('shop-0001-002');
  });

  test('one source has one batch at a time, and the next one after it', () => {
    const move = {
      operation: 'export',
      sourceId: `id-${source}`,
      targetId: `id-${target}`,
      message: '',
      createdAtMs: 999_000,
      updatedAtMs: 999_500,
    } as const;
    const seen = (state: 'under-way' | 'success' | 'failed', nowMs = 1_000_000) =>
      plan(
        input(group, { ...everywhere(group, atomic()), [source]: atomic([{ ...move, state }]) }, { nowMs }),
      );
    expect(kinds(seen('under-way'))).toEqual(['migrate-slots shop-0002-001']);
    expect(kinds(seen('success'))).toContain(`migrate-slots ${source}`);
    expect(kinds(seen('failed'))).toEqual(['migrate-slots shop-0002-001']);
    expect(kinds(seen('failed', 1_002_000))).toContain(`migrate-slots ${source}`);
    expect(kinds(seen('under-way', 2_000_000))).toContain(`cancel-slot-migrations ${source}`);
  });

  test('two shards that give to each other do it one after the other', () => {
    const halves = clusterGroup(2, 0);
    const swapped = {
      ...halves,
      nodeGroups: halves.nodeGroups.map((each, index) => ({
        ...each,
        resharding: { slots: halves.nodeGroups[1 - index]!.slots, gains: 8_192, leaving: false },
      })),
    };
    const [one, other] = ['shop-0001-001', 'shop-0002-001'] as const;
    expect(kinds(plan(input(swapped, everywhere(swapped, atomic()))))).toEqual([`migrate-slots ${one}`]);
    const move = { message: '', createdAtMs: 999_000, updatedAtMs: 999_500, state: 'under-way' } as const;
    const way = { ...move, sourceId: `id-${other}`, targetId: `id-${one}` };
    const seen = {
      [one]: atomic([{ ...way, operation: 'import' }]),
      [other]: atomic([{ ...way, operation: 'export' }]),
    };
    expect(plan(input(swapped, seen)).steps).toEqual([]);
  });

  test('engines that do not move slots are moved key by key, a piece at a time', () => {
    const made = plan(input(group));
    expect(kinds(made)).toEqual([`move-slots ${source}`]);
    expect(step(made, 'move-slots')).toMatchObject({
      target,
      sourceClusterNodeId: `id-${source}`,
      targetClusterNodeId: `id-${target}`,
    });
    expect(step(made, 'move-slots')!.slots.length).toBeLessThanOrEqual(256);
  });

  test('slots found open on their way come first, also where the engine moves slots', () => {
    const slot = listSlots(group.nodeGroups[2]!.resharding!.slots).at(-1)!;
    const owner = 'shop-0002-001';
    const made = plan(
      input(group, {
        ...everywhere(group, atomic()),
        [owner]: (seen) => open(slot, 'migrating', 'id-of-the-one-before')(atomic()(seen)),
      }),
    );
    expect(made.steps).toMatchObject([{ kind: 'move-slots', member: owner, target, slots: [slot] }]);
  });

  test('open slots that are not to move are given back, and only then closed at their owner', () => {
    const half = {
      'shop-0001-001': open(7, 'migrating', 'id-shop-0002-001'),
      'shop-0002-001': open(7, 'importing', 'id-shop-0001-001'),
    };
    const settled = clusterGroup(3);
    const made = plan(input(settled, half));
    expect(made.steps).toMatchObject([
      { kind: 'give-back-slots', member: 'shop-0002-001', target: 'shop-0001-001', slots: [7] },
    ]);
    const after = plan(input(settled, { 'shop-0001-001': half['shop-0001-001'] }));
    expect(made.converged).toBe(false);
    expect(after.steps).toMatchObject([{ kind: 'close-slots', member: 'shop-0001-001', slots: [7] }]);
  });
});

describe('a shard that is to go', () => {
  const going = (group: ReplicationGroup): ReplicationGroup => ({
    ...group,
    nodeGroups: group.nodeGroups.map((nodeGroup) => ({
      ...nodeGroup,
      members: nodeGroup.members.map((each) =>
        nodeGroup.resharding?.leaving ? { ...each, status: 'deleting' } : each,
      ),
    })),
  });
  const emptied = resharding(3, ['0001', '0002'], (nodeGroup) => ({
    ...nodeGroup,
    slots: nodeGroup.id === '0003' ? [] : [splitEvenly(2)[Number(nodeGroup.id) - 1]!],
  }));

  test('gives its slots to both others first', () => {
    const group = resharding(3, ['0001', '0002']);
    const made = plan(input(group, everywhere(group, atomic())));
    expect(kinds(made)).toEqual(['migrate-slots shop-0003-001']);
    expect(step(made, 'migrate-slots')!.moves.map(({ target }) => target)).toEqual([
      'shop-0001-001',
      'shop-0002-001',
    ]);
  });

  test('is dismissed when it has none, then removed and forgotten everywhere', () => {
    expect(kinds(plan(input(emptied)))).toEqual(['dismiss-shard 0003']);
    const made = plan(input(going(emptied)));
    expect(kinds(made).filter((kind) => !kind.startsWith('forget-peer'))).toEqual([
      'remove-node shop-0003-002',
      'remove-node shop-0003-001',
      'forget-member shop-0003-002',
      'forget-member shop-0003-001',
      'forget-shard 0003',
    ]);
    expect(kinds(made).filter((kind) => kind.startsWith('forget-peer'))).toHaveLength(8);
  });

  test('dismissed, its nodes are not started again, nor followed by others', () => {
    const made = plan(input(going(emptied), { 'shop-0003-001': dead, 'shop-0003-002': dead }));
    expect(kinds(made)).not.toContain('start-node shop-0003-001');
    expect(kinds(made)).toContain('forget-shard 0003');
  });

  test('gives up the configuration endpoint while it still lives', () => {
    const first = resharding(3, ['0002', '0003'], (nodeGroup) => ({
      ...nodeGroup,
      slots: nodeGroup.id === '0001' ? [] : [splitEvenly(2)[Number(nodeGroup.id) - 2]!],
    }));
    expect(kinds(plan(input(going(first))))).toEqual(['listen shop-0001-001', 'listen shop-0002-001']);
  });

  test('a peer that nobody of the group is, remembered by one that was away, is forgotten', () => {
    const group = clusterGroup(2);
    const stranger: Change = (seen) => ({
      ...seen,
      engine: {
        ...seen.engine!,
        cluster: {
          ...seen.engine!.cluster!,
          peers: [
            ...seen.engine!.cluster!.peers,
            {
              ...seen.engine!.cluster!.peers[1]!,
              id: 'id-gone',
              address: '127.64.9.9',
              myself: false,
              slots: [],
            },
          ],
        },
      },
    });
    expect(plan(input(group, { 'shop-0002-002': stranger })).steps).toMatchObject([
      { kind: 'forget-peer', member: 'shop-0002-002', clusterNodeId: 'id-gone' },
    ]);
  });
});

test('with every slot in place it ends, and no sooner', () => {
  const group = resharding(3, three);
  expect(kinds(plan(input(group)))).toEqual(['end-resharding']);
  expect(kinds(plan(input(group, { 'shop-0003-002': silent })))).toEqual([]);
});

test('whatever is seen: no plan breaks an invariant', () => {
  const changes = fc.constantFrom<Change>(
    (same) => same,
    (same) => same,
    dead,
    absent,
    silent,
    atomic(),
    open(5, 'migrating', 'id-shop-0003-001'),
    open(16_000, 'importing', 'id-shop-0001-001'),
  );
  const groups = fc.constantFrom(
    withNew(),
    withNew(false),
    resharding(3, ['0001', '0002']),
    resharding(3, three),
    clusterGroup(3),
  );
  fc.assert(
    fc.property(groups, fc.array(changes, { minLength: 6, maxLength: 6 }), (group, list) => {
      const given = input(
        group,
        Object.fromEntries(membersOf(group).map(({ id }, index) => [id, list[index]!])),
      );
      expect(checkPlan(plan(given).steps, group, given.observations)).toEqual([]);
    }),
    { numRuns: 200 },
  );
});
