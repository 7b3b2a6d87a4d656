/** Plans of groups whose endpoints are names: no node listens on one, and what they lead to is told. */
import { describe, expect, test } from 'vitest';
import { domainOf, endpointName, isDomain } from '../placement/endpoint-names.ts';
import { checkPlan } from './check-plan.ts';
import { allAbsent, clusterGroup, dead, input, replicatedGroup, replication } from './group.test-support.ts';
import { plan } from './plan.ts';
import type { ReplicationGroup } from './replication-group.ts';
import { clusterEntryOf, entryOf } from './tell-sentinel.ts';

const domain = 'cache.example';
const primaryName = endpointName('shop/primary', domain);
const readerName = endpointName('shop/reader', domain);

function named(members = 3): ReplicationGroup {
  const group = replicatedGroup(members);
  const endpoints = { primaryAddress: primaryName, readerAddress: readerName };
  return { ...group, nodeGroups: [{ ...group.nodeGroups[0]!, ...endpoints }] };
}

const group = named();
const [first, second, third] = group.nodeGroups[0]!.members.map(({ address }) => address);

test('names say what they lead to, and where they end', () => {
  expect(primaryName).toBe('primary.shop.cache.example');
  expect(endpointName('wide/configuration', domain)).toBe('config.wide.cache.example');
  expect(domainOf(primaryName)).toBe(domain);
});

test.each([
  ['cache.example', true],
  ['a-b.c1.example', true],
  ['example', false],
  ['Cache.example', false],
  ['cache..example', false],
  ['-a.example', false],
  ['10.0.0.1', false],
  [`${'a'.repeat(64)}.example`, false],
  [`${'abcdefghi.'.repeat(15)}example`, false],
])('%s as the domain: %s', (text, fine) => {
  expect(isDomain(text)).toBe(fine);
});

describe('a group without cluster mode', () => {
  test('a healthy one needs nothing', () => {
    expect(plan(input(group))).toMatchObject({ steps: [], converged: true });
  });

  test('a new one starts on its own addresses alone', () => {
    const { steps } = plan(input(group, allAbsent(group)));
    expect(steps.map((step) => (step.kind === 'start-node' ? step.endpointAddresses : step.kind))).toEqual([
      [],
      [],
      [],
    ]);
  });

  test('a failover moves no address', () => {
    const found = plan(input(group, { 'shop-001': dead }));
    expect(found.steps.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['decide-primary', 'promote', 'replicate']),
    );
    expect(found.steps.map(({ kind }) => kind)).not.toContain('listen');
    expect(checkPlan(found.steps, group, input(group, { 'shop-001': dead }).observations)).toEqual([]);
  });

  test('a primary that is demoted ends its clients; a replica that is told another primary does not', () => {
    const changes = {
      'shop-002': replication({ role: 'primary' }),
      'shop-003': replication({ primary: { address: '127.64.0.99', port: 6379, linkUp: false } }),
    };
    const ends = ({ steps }: ReturnType<typeof plan>) =>
      steps.flatMap((step) => (step.kind === 'replicate' ? [[step.member, step.endsClients]] : []));
    expect(ends(plan(input(group, changes)))).toEqual([
      ['shop-002', true],
      ['shop-003', undefined],
    ]);
    // Where endpoints are addresses, taking them away does it.
    expect(ends(plan(input(replicatedGroup(3), changes)))).toEqual([
      ['shop-002', undefined],
      ['shop-003', undefined],
    ]);
  });
});

describe('what is told', () => {
  const told = (changes: Parameters<typeof input>[1]) =>
    entryOf(group, input(group, changes).observations, false, undefined)?.names?.records;

  test('the primary, and replicas in sync', () => {
    expect(told({})).toEqual([
      { name: primaryName, addresses: [first] },
      { name: readerName, addresses: [second, third] },
    ]);
  });

  test('readers come to no replica that is dead or has no link, and to the primary when no other is left', () => {
    const unlinked = replication({ primary: { address: first!, port: 6379, linkUp: false } });
    expect(told({ 'shop-002': dead })?.[1]?.addresses).toEqual([third]);
    expect(told({ 'shop-002': dead, 'shop-003': unlinked })?.[1]?.addresses).toEqual([first]);
  });

  test('nothing new while it is not sure who leads, and no names of a group that has none', () => {
    expect(told({ 'shop-001': replication({ role: 'replica' }) })).toBeUndefined();
    const plain = replicatedGroup(3);
    expect(entryOf(plain, input(plain).observations, false, undefined)?.names).toBeUndefined();
  });

  test('of cluster mode the nodes that answer, primaries first; what was told stays when none does', () => {
    const wide = { ...clusterGroup(2, 1), configurationAddress: 'config.wide.cache.example' };
    const members = wide.nodeGroups.flatMap(({ members: all }) => all);
    const addressesOf = (changes: Parameters<typeof input>[1]) =>
      clusterEntryOf(wide, input(wide, changes).observations)?.names?.records[0]?.addresses;
    const [one, oneReplica, two, twoReplica] = members;
    expect(addressesOf({})).toEqual([one, two, oneReplica, twoReplica].map((each) => each!.address));
    expect(addressesOf({ [one!.id]: dead })?.[0]).toBe(two!.address);
    expect(addressesOf(Object.fromEntries(members.map(({ id }) => [id, dead])))).toBeUndefined();
    expect(clusterEntryOf(clusterGroup(2, 1), input(clusterGroup(2, 1)).observations)).toBeUndefined();
  });

  test('of cluster mode no address is moved', () => {
    const wide = { ...clusterGroup(2, 1), configurationAddress: 'config.wide.cache.example' };
    expect(plan(input(wide))).toMatchObject({ steps: [], converged: true });
  });
});
