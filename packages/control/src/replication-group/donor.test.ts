import { describe, expect, test } from 'vitest';
import {
  absent,
  allAbsent,
  type Change,
  dead,
  input,
  loading,
  replicatedGroup,
  replication,
  silent,
} from './group.test-support.ts';
import { plan } from './plan.ts';

const group = replicatedGroup(3);
const following = (address: string, linkUp: boolean, linkDownSeconds?: number): Change =>
  replication({
    primary: { address, port: 6379, linkUp, ...(linkDownSeconds !== undefined && { linkDownSeconds }) },
  });
const [first, third] = ['127.64.0.10', '127.64.0.12'];
const older: Change = (seen) => ({
  ...seen,
  engine: { ...seen.engine!, info: { ...seen.engine!.info, version: '8.1.1' } },
});

/** Whom shop-002 is started to take its data from; undefined while that is waited for. */
function source(changes: Readonly<Record<string, Change>>): string | undefined {
  const made = plan(input(group, changes));
  return made.steps.flatMap((step) =>
    step.kind === 'start-node' && step.member === 'shop-002' ? [step.replicaOf] : [],
  )[0];
}

describe('a replica that starts', () => {
  test('takes its data from another one in sync, not from the primary', () => {
    expect(source({ 'shop-002': dead })).toBe('shop-003');
    expect(source({ 'shop-002': absent })).toBe('shop-003');
  });

  test.each<[string, Change]>([
    ['is dead too', dead],
    ['does not answer', silent],
    ['loads', loading],
    ['is of another version', older],
    ['takes on a whole copy itself', replication({ syncInProgress: true })],
    ['never had its primary', following(first, false)],
    ['lost its primary for long', following(first, false, 4)],
  ])('takes it from the primary when the other one %s', (_, change) => {
    expect(source({ 'shop-002': dead, 'shop-003': change })).toBe('shop-001');
  });

  test('takes it from the primary while the other one is to go', () => {
    const shrinking = replicatedGroup(3, {
      nodeGroups: group.nodeGroups.map((each) => ({
        ...each,
        members: each.members.map((member) =>
          member.id === 'shop-003' ? { ...member, status: 'deleting' as const } : member,
        ),
      })),
    });
    const { steps } = plan(input(shrinking, { 'shop-002': dead }));
    expect(steps).toContainEqual(expect.objectContaining({ kind: 'start-node', replicaOf: 'shop-001' }));
  });

  test('waits for one that lost its primary a moment ago', () => {
    const made = plan(input(group, { 'shop-002': dead, 'shop-003': following(first, false, 1) }));
    expect(made.steps.map(({ kind }) => kind)).not.toContain('start-node');
    expect(made.waitingFor).toContain('shop-003 to be in sync: shop-002 is to take its data from there');
  });

  test('starts with the others when nobody has anything', () => {
    const { steps } = plan(input(group, allAbsent(group)));
    expect(steps.map((step) => (step.kind === 'start-node' ? step.replicaOf : step.kind))).toEqual([
      undefined,
      'shop-001',
      'shop-001',
    ]);
  });
});

describe('a replica that takes its data from another one', () => {
  test('is let take it', () => {
    const made = plan(input(group, { 'shop-002': following(third, false) }));
    expect(made.steps.map(({ kind }) => kind)).not.toContain('replicate');
    expect(made.waitingFor).toContain('shop-002 to take its data from shop-003');
  });

  test.each<[string, Readonly<Record<string, Change>>]>([
    ['once it has it', { 'shop-002': following(third, true) }],
    ['when that one died', { 'shop-002': following(third, false), 'shop-003': dead }],
    [
      'when that one lost the primary',
      { 'shop-002': following(third, false), 'shop-003': following(first, false, 9) },
    ],
  ])('follows the primary %s', (_, changes) => {
    expect(plan(input(group, changes)).steps).toContainEqual(
      expect.objectContaining({ kind: 'replicate', member: 'shop-002', primary: 'shop-001' }),
    );
  });
});
