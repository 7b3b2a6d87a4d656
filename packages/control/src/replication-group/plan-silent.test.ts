import { onlyCopyLimitMs } from '@larder/fleet/hang/limits';
import { describe, expect, test } from 'vitest';
import { checkPlan } from './check-plan.ts';
import {
  type Change,
  clusterGroup,
  dead,
  hostFenced,
  hung,
  input,
  loading,
  observe,
  replicatedGroup,
  silent,
} from './group.test-support.ts';
import { plan } from './plan.ts';
import type { ReplicationGroup } from './replication-group.ts';
import type { Plan } from './step.ts';

const trio = replicatedGroup(3);
const pair = replicatedGroup(2);
const single = replicatedGroup(1);
const cluster = clusterGroup(3, 1);

/** The plan must also stand up to its linter. */
function planned(group: ReplicationGroup, changes: Readonly<Record<string, Change>>): Plan {
  const made = plan(input(group, changes));
  expect(checkPlan(made.steps, group, observe(group, changes))).toEqual([]);
  return made;
}

function kills({ steps }: Plan): string[] {
  return steps.flatMap((step) => (step.kind === 'kill-node' ? [step.member] : []));
}

const changesRoles = ({ steps }: Plan) =>
  steps.some(({ kind }) => ['decide-primary', 'promote', 'elect', 'replicate'].includes(kind));

describe('a primary that hangs', () => {
  test.each([
    ['without cluster mode', trio, 'shop-001'],
    ['with cluster mode', cluster, 'shop-0001-001'],
  ])('%s is ended while a replica has its data, and nobody follows it before it is dead', (_, group, primary) => {
    const made = planned(group, { [primary]: hung() });
    expect(kills(made)).toEqual([primary]);
    expect(changesRoles(made)).toBe(false);
    expect(changesRoles(planned(group, { [primary]: dead }))).toBe(true);
  });

  test.each([
    ['alone', single, 'shop-001', {}],
    ['with a replica that loads', pair, 'shop-001', { 'shop-002': loading }],
    ['with a replica that hangs too', pair, 'shop-001', { 'shop-002': hung('blocked', 2_000) }],
    ['with a dead replica', pair, 'shop-001', { 'shop-002': dead }],
    ['with a replica out of reach', pair, 'shop-001', { 'shop-002': hostFenced }],
    ['with a dead replica in its shard', cluster, 'shop-0001-001', { 'shop-0001-002': dead }],
  ] as const)('%s holds the only data: it is given a minute', (_, group, primary, more) => {
    const after = (silentMs: number, how: 'stopped' | 'blocked' | 'idle' | 'spinning' = 'stopped') =>
      planned(group, { ...more, [primary]: hung(how, silentMs) });
    const made = after(onlyCopyLimitMs - 1);
    expect(kills(made)).not.toContain(primary);
    expect(changesRoles(made)).toBe(false);
    expect(made.waitingFor.join()).toContain(`${primary} to answer: it is stopped`);
    for (const how of ['stopped', 'blocked', 'idle'] as const) {
      expect(kills(after(onlyCopyLimitMs, how))).toContain(primary);
    }
    // At work it may still finish; who wants it ended restarts it.
    expect(kills(after(100 * onlyCopyLimitMs, 'spinning'))).not.toContain(primary);
  });

  test('alone is ended at once when it was asked to restart', () => {
    const [shard] = single.nodeGroups;
    const members = shard!.members.map((each) => ({ ...each, generation: 2 }));
    const asked = { ...single, nodeGroups: [{ ...shard!, members }] };
    expect(kills(planned(asked, { 'shop-001': hung('spinning', 30_000) }))).toEqual(['shop-001']);
  });

  test('that is merely silent is waited for', () => {
    for (const [group, primary] of [
      [trio, 'shop-001'],
      [cluster, 'shop-0001-001'],
    ] as const) {
      const made = planned(group, { [primary]: silent });
      expect([kills(made), changesRoles(made)]).toEqual([[], false]);
      expect(made.waitingFor).toContain(`${primary} to answer`);
    }
  });
});

describe('a replica that hangs', () => {
  test.each([
    ['without cluster mode', trio, 'shop-003'],
    ['with cluster mode', cluster, 'shop-0002-002'],
  ])('%s is ended, whatever it does, and started anew', (_, group, replica) => {
    for (const how of ['stopped', 'idle', 'blocked', 'spinning'] as const) {
      expect(kills(planned(group, { [replica]: hung(how, 30_000) }))).toEqual([replica]);
    }
    const starts = planned(group, { [replica]: dead }).steps.filter(({ kind }) => kind === 'start-node');
    expect(starts).toMatchObject([{ member: replica }]);
  });

  test('is kept when its primary is dead and nobody else has the data', () => {
    for (const [group, primary, replica] of [
      [pair, 'shop-001', 'shop-002'],
      [cluster, 'shop-0001-001', 'shop-0001-002'],
    ] as const) {
      const early = planned(group, { [primary]: dead, [replica]: hung() });
      expect([kills(early), changesRoles(early)]).toEqual([[], false]);
      expect(kills(planned(group, { [primary]: dead, [replica]: hung('stopped', onlyCopyLimitMs) }))).toEqual(
        [replica],
      );
    }
  });

  test('does not keep another from following a dead primary', () => {
    const made = planned(trio, { 'shop-001': dead, 'shop-002': hung() });
    expect(made.steps.find(({ kind }) => kind === 'promote')).toMatchObject({ member: 'shop-003' });
    expect(kills(made)).toEqual(['shop-002']);
  });
});

test('the linter lets nobody be killed who does not hang, nor a later run of him', () => {
  const kill = (pid: number) =>
    [
      {
        kind: 'kill-node',
        member: 'shop-001',
        incarnation: { pid, startTicks: 1 },
        because: 'a test',
      },
    ] as const;
  const rules = (changes: Record<string, Change>, pid = 100) =>
    checkPlan(kill(pid), trio, observe(trio, changes)).map(({ invariant }) => invariant);
  expect(rules({ 'shop-001': hung() })).toEqual([]);
  expect(rules({ 'shop-001': hung() }, 99)).toEqual(['I18']);
  for (const change of [silent, dead, loading]) expect(rules({ 'shop-001': change })).toEqual(['I18']);
});
