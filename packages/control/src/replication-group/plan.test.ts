import { splitEvenly } from '@larder/engine/slots';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkPlan } from './check-plan.ts';
import {
  absent,
  allAbsent,
  type Change,
  clusterGroup,
  dead,
  exiting,
  hostFenced,
  input,
  keys,
  lineage,
  loading,
  observe,
  replicatedGroup,
  replication,
  restoredGroup,
  silent,
  unreachable,
  writesFenced,
} from './group.test-support.ts';
import { plan } from './plan.ts';
import { membersOf, type ReplicationGroup } from './replication-group.ts';
import { lostMeanwhile } from './restore.ts';
import type { Plan, Step } from './step.ts';

function kinds({ steps }: Plan): string[] {
  return steps.map((step) => ('member' in step ? `${step.kind} ${step.member}` : step.kind));
}

function boundTo(...boundAddresses: string[]): Change {
  return (seen) => ({ ...seen, engine: { ...seen.engine!, boundAddresses } });
}

function step<Kind extends Step['kind']>({ steps }: Plan, kind: Kind) {
  return steps.find((each): each is Step & { kind: Kind } => each.kind === kind);
}

describe('a group that is made with the data of a snapshot', () => {
  const snapshots = ({ steps }: Plan) =>
    steps.flatMap((each) => (each.kind === 'start-node' ? [[each.member, each.snapshot]] : []));

  test('begins with it at its primary, again after a death, and never once it was whole', () => {
    const made = restoredGroup(replicatedGroup(2));
    const start = [
      ['shop-001', 'kept'],
      ['shop-002', undefined],
    ];
    expect(snapshots(plan(input(made, allAbsent(made))))).toEqual(start);
    expect(snapshots(plan(input(made, { 'shop-001': dead, 'shop-002': dead })))).toEqual(start);
    const whole = { ...replicatedGroup(2), intent: made.intent };
    const later = plan(input(whole, { 'shop-001': dead, 'shop-002': dead }));
    expect(snapshots(later)).toEqual(start.map(([member]) => [member, undefined]));
  });

  test('is not whole while its primary loads, and no replica starts before', () => {
    const made = restoredGroup(replicatedGroup(1));
    expect(plan(input(made, { 'shop-001': loading }))).toMatchObject({ steps: [], converged: false });
    const pair = restoredGroup(replicatedGroup(2));
    expect(plan(input(pair, { 'shop-001': loading, 'shop-002': absent })).steps).toEqual([]);
  });

  test('with other shards: those with data come together first, the rest joins and gets its slots then', () => {
    const base = restoredGroup(clusterGroup(2, 1));
    const [kept, empty] = base.nodeGroups;
    const made = {
      ...base,
      nodeGroups: [
        { ...kept!, slots: splitEvenly(1), resharding: { slots: kept!.slots, gains: 0, leaving: false } },
        { ...empty!, slots: [], resharding: { slots: empty!.slots, gains: 8_192, leaving: false } },
      ],
    };
    expect(snapshots(plan(input(made, allAbsent(made)))).filter(([, snapshot]) => snapshot)).toEqual([
      ['shop-0001-001', 'kept'],
    ]);
    const alone = { ...made, nodeGroups: [made.nodeGroups[0]!] };
    const observations = new Map([...observe(made), ...observe(alone)]);
    expect(plan({ ...input(made), observations })).toMatchObject({
      steps: [{ kind: 'form-shards', nodeGroups: ['0001'] }],
      converged: false,
    });
  });

  test('whose nodes all end while its slots go on is not whole any more', () => {
    const base = restoredGroup(clusterGroup(2, 1));
    const made = { ...base, nodeGroups: base.nodeGroups.map((each) => ({ ...each, formed: true })) };
    const lost = { 'shop-0002-001': dead, 'shop-0002-002': dead };
    expect(lostMeanwhile(made, observe(made, lost))).toContain('shard 0002');
    expect(lostMeanwhile(made, observe(made, { 'shop-0002-001': dead }))).toBeUndefined();
    expect(lostMeanwhile({ ...made, status: 'available' }, observe(made, lost))).toBeUndefined();
    expect(lostMeanwhile(base, observe(base, lost))).toBeUndefined();
  });

  test('with cluster mode: each shard its own, and only the slots without keys are added', () => {
    const made = restoredGroup(clusterGroup(2, 1));
    expect(snapshots(plan(input(made, allAbsent(made))))).toEqual([
      ['shop-0001-001', 'kept'],
      ['shop-0001-002', undefined],
      ['shop-0002-001', 'kept'],
      ['shop-0002-002', undefined],
    ]);
    expect(plan(input(made, { 'shop-0001-001': loading }))).toMatchObject({ steps: [], converged: false });
    const withKeys: Change = (seen) => ({
      ...seen,
      engine: {
        ...seen.engine!,
        cluster: {
          state: 'fail',
          peers: seen.engine!.cluster!.peers.map((peer) =>
            peer.myself ? { ...peer, slots: [{ first: 5, last: 7 }] } : peer,
          ),
        },
      },
    });
    expect(step(plan(input(made, { 'shop-0001-001': withKeys })), 'add-slots')).toMatchObject({
      member: 'shop-0001-001',
      slots: [
        { first: 0, last: 4 },
        { first: 8, last: 8191 },
      ],
    });
  });
});

describe('a primary whose host can not be asked', () => {
  const group = replicatedGroup(3);

  test('is waited for, while it may take writes', () => {
    const planned = plan(input(group, { 'shop-001': unreachable }));
    expect(planned).toMatchObject({ steps: [], converged: false, waitingFor: ['shop-001 to answer'] });
  });

  test('is replaced once its host let go of it, and its endpoint moves', () => {
    const planned = plan(input(group, { 'shop-001': hostFenced }));
    expect(step(planned, 'decide-primary')).toMatchObject({
      member: 'shop-002',
      fence: { kind: 'lease-expired', host: 'b' },
    });
    expect(kinds(planned).slice(0, 3)).toEqual([
      'decide-primary shop-002',
      'promote shop-002',
      'listen shop-002',
    ]);
    expect(planned.waitingFor).toContain("shop-001's host b");
    expect(checkPlan(planned.steps, group, observe(group, { 'shop-001': hostFenced }))).toEqual([]);
  });

  test('is not replaced by an empty node: what it holds may come back with its host', () => {
    const alone = replicatedGroup(1);
    expect(plan(input(alone, { 'shop-001': hostFenced })).steps).toEqual([]);
    const changes = { 'shop-001': hostFenced, 'shop-002': absent, 'shop-003': absent };
    expect(step(plan(input(group, changes)), 'decide-primary')).toBeUndefined();
    // Nor by who has nothing, when the dead primary's only copy is out of reach.
    const copyAway = { 'shop-001': dead, 'shop-002': hostFenced, 'shop-003': absent };
    expect(plan(input(group, copyAway))).toMatchObject({ steps: [], converged: false });
  });

  test('takes writes again when it comes back and is still the primary', () => {
    const planned = plan(input(group, { 'shop-001': writesFenced }));
    expect(kinds(planned)).toContain('lift-fence shop-001');
    const replaced = plan(input(group, { 'shop-002': writesFenced }));
    expect(kinds(replaced)).not.toContain('lift-fence shop-002');
  });

  test('with cluster mode is voted out once its host let go of it', () => {
    const cluster = clusterGroup();
    expect(step(plan(input(cluster, { 'shop-0001-001': unreachable })), 'elect')).toBeUndefined();
    expect(step(plan(input(cluster, { 'shop-0001-001': hostFenced })), 'elect')).toMatchObject({
      member: 'shop-0001-002',
      how: 'vote',
      fence: { kind: 'lease-expired', host: 'b' },
    });
    const lifted = plan(input(cluster, { 'shop-0001-001': writesFenced }));
    expect(kinds(lifted)).toEqual(['lift-fence shop-0001-001']);
  });
});

describe('a group without cluster mode', () => {
  const group = replicatedGroup();

  test("two nodes that have each other's endpoints give them up before either takes one", () => {
    const listening =
      (...addresses: string[]): Change =>
      (seen) => ({
        ...seen,
        engine: { ...seen.engine!, boundAddresses: addresses },
      });
    const { steps } = plan(
      input(group, {
        'shop-001': listening('127.64.0.10', '127.64.0.2'),
        'shop-002': listening('127.64.0.11', '127.64.0.1'),
      }),
    );
    expect(steps.map((each) => (each.kind === 'listen' ? [each.member, ...each.addresses] : []))).toEqual([
      ['shop-001', '127.64.0.10'],
      ['shop-002', '127.64.0.11'],
      ['shop-001', '127.64.0.10', '127.64.0.1'],
      ['shop-002', '127.64.0.11', '127.64.0.2'],
    ]);
  });

  test('an endpoint stays with a node that runs and is silent: it may still listen there', () => {
    // shop-002 has the reader endpoint in a healthy group.
    expect(plan(input(group, { 'shop-002': silent }))).toMatchObject({
      steps: [],
      converged: false,
      waitingFor: ['shop-002 to answer'],
    });
    expect(step(plan(input(group, { 'shop-002': dead })), 'listen')).toMatchObject({ member: 'shop-003' });
  });

  test('that is as asked for needs nothing', () => {
    expect(plan(input(group))).toMatchObject({ steps: [], converged: true, waitingFor: [] });
  });

  test('begins with its primary; replicas start as replicas and never as empty primaries', () => {
    const fresh = replicatedGroup(3, {
      status: 'creating',
      nodeGroups: group.nodeGroups.map(({ lineage: _, ...each }) => ({ ...each, formed: false })),
    });
    const made = plan(input(fresh, allAbsent(fresh)));
    expect(kinds(made)).toEqual(['start-node shop-001', 'start-node shop-002', 'start-node shop-003']);
    expect(made.steps.map((each) => (each.kind === 'start-node' ? each.replicaOf : ''))).toEqual([
      undefined,
      'shop-001',
      'shop-001',
    ]);
  });

  test('promotes the most advanced replica of the same history, endpoint first, and brings the dead one back', () => {
    const made = plan(
      input(group, {
        'shop-001': dead,
        'shop-002': replication({ offset: 900, primary: { address: 'x', port: 1, linkUp: false } }),
        'shop-003': replication({ offset: 950, primary: { address: 'x', port: 1, linkUp: false } }),
      }),
    );
    expect(kinds(made)).toEqual([
      'decide-primary shop-003',
      'promote shop-003',
      'listen shop-003',
      'note-history shop-003',
      'start-node shop-001',
      'replicate shop-002',
    ]);
    expect(step(made, 'start-node')?.replicaOf).toBe('shop-003');
    expect(step(made, 'decide-primary')?.fence).toMatchObject({ kind: 'dead', how: 'reaped' });
  });

  test('a further replica of another history is not preferred', () => {
    const made = plan(
      input(group, {
        'shop-001': dead,
        'shop-003': replication({ offset: 9_999, replicationId: 'b'.repeat(40) }),
      }),
    );
    expect(step(made, 'promote')?.member).toBe('shop-002');
  });

  test('a history shared up to the last promotion counts as the same', () => {
    const shared = replication({
      replicationId: 'b'.repeat(40),
      previousReplicationId: lineage,
      offset: 2_000,
    });
    expect(step(plan(input(group, { 'shop-001': dead, 'shop-003': shared })), 'promote')?.member).toBe(
      'shop-003',
    );
  });

  test('a half-made copy is only better than nothing', () => {
    const syncing = replication({ syncInProgress: true });
    const whole = plan(input(group, { 'shop-001': dead, 'shop-002': syncing }));
    expect(step(whole, 'promote')?.member).toBe('shop-003');
    const neither = plan(input(group, { 'shop-001': dead, 'shop-002': syncing, 'shop-003': dead }));
    expect(step(neither, 'promote')?.member).toBe('shop-002');
  });

  test('waits for a silent replica rather than start an empty primary', () => {
    const made = plan(input(group, { 'shop-001': dead, 'shop-002': silent, 'shop-003': dead }));
    expect(made.steps).toEqual([]);
    expect(made.waitingFor).not.toEqual([]);
  });

  test('starts empty in its place when nobody holds anything', () => {
    const made = plan(input(group, { 'shop-001': dead, 'shop-002': dead, 'shop-003': dead }));
    expect(kinds(made)).toEqual(['start-node shop-001', 'start-node shop-002', 'start-node shop-003']);
    expect(step(made, 'start-node')?.replicaOf).toBeUndefined();
  });

  test('a primary that starts empty takes no endpoint that another node is given in the same plan', () => {
    const found = plan(
      input(group, {
        'shop-001': dead,
        'shop-002': (seen) =>
          keys(0)(replication({ replicationId: 'b'.repeat(40) })(boundTo('127.64.0.11')(seen))),
        'shop-003': dead,
      }),
    );
    // A replica of another history is no reader before it follows.
    expect(step(found, 'start-node')).toMatchObject({
      member: 'shop-001',
      endpointAddresses: ['127.64.0.1', '127.64.0.2'],
    });
    expect(step(found, 'listen')).toBeUndefined();
  });

  test('a replica that loads is told whom to follow once it has: until then it refuses', () => {
    const found = plan(
      input(group, {
        'shop-002': (seen) =>
          loading(replication({ primary: { address: '127.64.0.99', port: 6379, linkUp: false } })(seen)),
      }),
    );
    // And nobody reads from it.
    expect(kinds(found)).toEqual(['listen shop-002', 'listen shop-003']);
    expect(found.waitingFor).toEqual(['shop-002 to load its data']);
  });

  test('does nothing to a primary that runs but is silent', () => {
    expect(plan(input(group, { 'shop-001': silent }))).toMatchObject({ steps: [], converged: false });
  });

  test('does not start a process while the old one still holds its sockets', () => {
    const made = plan(input(group, { 'shop-002': exiting }));
    expect(kinds(made)).not.toContain('start-node shop-002');
    expect(made.waitingFor).toHaveLength(1);
  });

  test('goes on after a crash between the decision and the command', () => {
    const decided = replicatedGroup(3, {
      epoch: 2,
      nodeGroups: group.nodeGroups.map((each) => ({ ...each, primary: 'shop-002' })),
    });
    const made = plan(
      input(decided, {
        'shop-001': dead,
        'shop-002': replication({
          role: 'replica',
          primary: { address: '127.64.0.10', port: 6379, linkUp: false },
        }),
        'shop-003': replication({ primary: { address: '127.64.0.10', port: 6379, linkUp: false } }),
      }),
    );
    expect(kinds(made).slice(0, 1)).toEqual(['promote shop-002']);
    expect(kinds(made)).not.toContain('decide-primary shop-002');
  });

  test('is not made the primary, though decided, while the one it follows may rule again on a host that came back', () => {
    const decided: ReplicationGroup = {
      ...group,
      epoch: 2,
      nodeGroups: [{ ...group.nodeGroups[0]!, primary: 'shop-002' }],
    };
    const following = replication({
      role: 'replica',
      primary: { address: '127.64.0.10', port: 6379, linkUp: false },
    });
    const seen = { 'shop-002': following };
    expect(plan(input(decided, { ...seen, 'shop-001': unreachable })).steps).toEqual([]);
    expect(kinds(plan(input(decided, { ...seen, 'shop-001': hostFenced })))).toContain('promote shop-002');
  });

  test('demotes a second primary before anything else', () => {
    const made = plan(input(group, { 'shop-002': replication({ role: 'primary' }) }));
    expect(kinds(made)).toContain('replicate shop-002');
  });

  test('an endpoint is given up before it is taken', () => {
    const moved = observe(group);
    const wrong = moved.get('shop-002.0001')!;
    moved.set('shop-002.0001', {
      ...wrong,
      engine: { ...wrong.engine!, boundAddresses: ['127.64.0.11', '127.64.0.1', '127.64.0.2'] },
    });
    const right = moved.get('shop-001.0001')!;
    moved.set('shop-001.0001', { ...right, engine: { ...right.engine!, boundAddresses: ['127.64.0.10'] } });
    const made = plan({ ...input(group), observations: moved });
    expect(kinds(made)).toEqual(['listen shop-002', 'listen shop-001']);
  });

  test('deletion removes every member and then forgets; one without a process may have a folder', () => {
    const made = plan(input(replicatedGroup(2, { status: 'deleting' }), { 'shop-001': absent }));
    expect(kinds(made)).toEqual(['remove-node shop-001', 'remove-node shop-002', 'forget-group']);
  });

  test('two that swap their endpoints give them up before either takes one', () => {
    const pair = replicatedGroup(2);
    const [nodeGroup] = pair.nodeGroups;
    const promoted = { ...pair, nodeGroups: [{ ...nodeGroup!, primary: 'shop-002' }] };
    const bound =
      (address: string): Change =>
      (seen) => ({
        ...seen,
        engine: { ...seen.engine!, boundAddresses: [seen.engine!.boundAddresses[0]!, address] },
      });
    const made = plan(input(promoted, { 'shop-001': bound('127.64.0.1'), 'shop-002': bound('127.64.0.2') }));
    const listening = new Map([
      ['shop-001', ['127.64.0.10', '127.64.0.1']],
      ['shop-002', ['127.64.0.11', '127.64.0.2']],
    ]);
    for (const each of made.steps) {
      if (each.kind !== 'listen') continue;
      listening.set(each.member, [...each.addresses]);
      const all = [...listening.values()].flat();
      expect(new Set(all).size, JSON.stringify(made.steps)).toBe(all.length);
    }
    expect([...listening.values()]).toEqual([
      ['127.64.0.10', '127.64.0.2'],
      ['127.64.0.11', '127.64.0.1'],
    ]);
  });
});

describe('a group with cluster mode', () => {
  const group = clusterGroup();

  test('that is as asked for needs nothing', () => {
    expect(plan(input(group))).toMatchObject({ steps: [], converged: true, waitingFor: [] });
  });

  test('a lost primary is voted on at once, and is not started before the vote', () => {
    const made = plan(input(group, { 'shop-0002-001': dead }));
    expect(step(made, 'elect')).toMatchObject({
      member: 'shop-0002-002',
      how: 'vote',
      fence: { kind: 'dead' },
    });
    expect(kinds(made)).not.toContain('start-node shop-0002-001');
  });

  test('with too few primaries to vote, the proof of death takes the place of the vote', () => {
    const two = clusterGroup(2);
    expect(step(plan(input(two, { 'shop-0001-001': dead })), 'elect')?.how).toBe('takeover');
  });

  test('the configuration endpoint moves away from a dead node', () => {
    const made = plan(input(group, { 'shop-0001-001': dead }));
    expect(step(made, 'listen')?.addresses).toContain('127.64.0.1');
  });

  test('what the engines decided is written down', () => {
    const after = clusterGroup();
    const voted: ReplicationGroup = {
      ...after,
      nodeGroups: after.nodeGroups.map((each, index) =>
        index === 0 ? { ...each, primary: 'shop-0001-002' } : each,
      ),
    };
    const observations = observe(voted, { 'shop-0001-001': dead });
    const made = plan({ ...input(group), observations });
    expect(step(made, 'decide-primary')).toMatchObject({
      member: 'shop-0001-002',
      fence: { kind: 'engine-vote' },
    });
  });

  test('a shard without any copy starts again in its place', () => {
    const made = plan(input(group, { 'shop-0003-001': dead, 'shop-0003-002': dead }));
    expect(kinds(made)).toEqual(['start-node shop-0003-001', 'start-node shop-0003-002']);
  });
});

describe('whatever is seen', () => {
  const changes: fc.Arbitrary<Change> = fc.oneof(
    fc.constantFrom<Change>((same) => same, dead, exiting, absent, silent, keys(0)),
    fc
      .record({
        role: fc.constantFrom('primary' as const, 'replica' as const),
        offset: fc.integer({ min: 0, max: 2_000 }),
        replicationId: fc.constantFrom(lineage, 'b'.repeat(40)),
        syncInProgress: fc.boolean(),
      })
      .map(replication),
  );
  const groups = fc.constantFrom(
    replicatedGroup(1),
    replicatedGroup(3),
    replicatedGroup(6),
    replicatedGroup(3, {
      status: 'creating',
      nodeGroups: [{ ...replicatedGroup().nodeGroups[0]!, formed: false }],
    }),
    replicatedGroup(3, { status: 'deleting' }),
    clusterGroup(1, 2),
    clusterGroup(3, 1),
    clusterGroup(3, 1, false),
  );
  const cases = groups.chain((group) =>
    fc
      .array(changes, { minLength: membersOf(group).length, maxLength: membersOf(group).length })
      .map((list) => ({
        group,
        changes: Object.fromEntries(membersOf(group).map(({ id }, index) => [id, list[index]!])),
      })),
  );

  test('no plan breaks an invariant', () => {
    fc.assert(
      fc.property(cases, ({ group, changes: seen }) => {
        const given = input(group, seen);
        expect(checkPlan(plan(given).steps, group, given.observations)).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });

  test('a plan depends on nothing but its input', () => {
    fc.assert(
      fc.property(cases, ({ group, changes: seen }) => {
        expect(plan(input(group, seen))).toEqual(plan(input(group, seen)));
      }),
      { numRuns: 200 },
    );
  });
});
