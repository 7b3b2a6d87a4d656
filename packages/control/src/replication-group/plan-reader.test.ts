import type { SpreadRoute } from '@larder/fleet/router/route-table';
import { describe, expect, test } from 'vitest';
import { checkPlan } from './check-plan.ts';
import {
  type Change,
  dead,
  hung,
  input,
  loading,
  observe,
  replicatedGroup,
  replication,
  silent,
} from './group.test-support.ts';
import { plan } from './plan.ts';
import type { ReplicationGroup } from './replication-group.ts';
import type { Front, SpreadTarget } from './seen-member.ts';
import type { Plan } from './step.ts';

const trio = replicatedGroup(3);
const pair = replicatedGroup(2);
const reader = '127.64.0.2';
const [first, second, third] = ['127.64.0.10', '127.64.0.11', '127.64.0.12'] as const;
const port = 6379;

function spreadOver({ listenAddress, nodeAddresses, fallbackAddress }: SpreadTarget): SpreadRoute {
  return {
    kind: 'spread',
    listen: { address: listenAddress, port },
    targets: nodeAddresses.map((address) => ({ address, port })),
    fallback: { address: fallbackAddress, port },
  };
}

const ready: Front = { spreadOver, routes: [] };
/** The router serves the reader endpoint, with these behind it. */
const serving = (nodeAddresses: readonly string[], fallbackAddress: string = first): Front => ({
  spreadOver,
  routes: [spreadOver({ listenAddress: reader, nodeAddresses, fallbackAddress })],
});

const boundTo =
  (...addresses: string[]): Change =>
  (seen) => ({ ...seen, engine: { ...seen.engine!, boundAddresses: addresses } });
const all =
  (...changes: Change[]): Change =>
  (seen) =>
    changes.reduce((changed, change) => change(changed), seen);

/** No engine listens on the reader endpoint. */
const routed: Readonly<Record<string, Change>> = { 'shop-002': boundTo(second) };

function planned(group: ReplicationGroup, front: Front, changes: Readonly<Record<string, Change>>): Plan {
  const made = plan(input(group, changes, { front }));
  expect(checkPlan(made.steps, group, observe(group, changes))).toEqual([]);
  return made;
}

/** What is done about the reader endpoint, in order: who listens, and where the router leads. */
function about({ steps }: Plan): string[] {
  return steps.flatMap((step) => {
    if (step.kind === 'listen') {
      if (step.addresses.includes(reader)) return [`${step.member} takes it`];
      return step.dropped.includes(reader) ? [`${step.member} gives it up`] : [];
    }
    if (step.kind !== 'route') return [];
    const [route] = step.routes as SpreadRoute[];
    if (route === undefined) return ['the router gives it up'];
    const ends = route.targets.map(({ address }) => address.split('.').at(-1));
    return [`the router leads to ${ends.join(' ')} else ${route.fallback!.address.split('.').at(-1)}`];
  });
}

const behind = (bytes: number) => replication({ offset: 1_000 - bytes });
/** What the primary says of its replicas. */
function heard(...silentSeconds: number[]): Change {
  return replication({
    replicas: [second, third].map((address, index) => ({
      address,
      port,
      online: true,
      acknowledgedOffset: 1_000,
      silentSeconds: silentSeconds[index]!,
    })),
  });
}
const mebibyte = 2 ** 20;
const linkDown = (linkDownSeconds?: number) =>
  replication({
    primary: {
      address: first,
      port,
      linkUp: false,
      ...(linkDownSeconds !== undefined && { linkDownSeconds }),
    },
  });

describe('a group with two replicas', () => {
  test('is spread by the router, once the node that had the address gave it up', () => {
    expect(about(planned(trio, ready, {}))).toEqual([
      'shop-002 gives it up',
      'the router leads to 11 12 else 10',
    ]);
    const after = planned(trio, serving([second, third]), routed);
    expect([after.steps, after.converged]).toEqual([[], true]);
  });

  test('has one of them listen itself where there is no router', () => {
    expect(planned(trio, { routes: [] }, {})).toMatchObject({ steps: [], converged: true });
    expect(about(planned(trio, { routes: [] }, routed))).toEqual(['shop-002 takes it']);
  });

  test('is not given to the router while a silent node may have it', () => {
    expect(about(planned(trio, ready, { 'shop-002': silent }))).toEqual([]);
    // Known to be with another, or with the router already, it is.
    expect(about(planned(trio, ready, { 'shop-003': silent }))).toEqual([
      'shop-002 gives it up',
      'the router leads to 11 else 10',
    ]);
  });

  test('roles come first when the primary dies; the replica that takes over is no reader any more', () => {
    const made = planned(trio, serving([second, third]), { ...routed, 'shop-001': dead });
    const order = made.steps.map((step) => ('member' in step ? `${step.kind} ${step.member}` : step.kind));
    expect(order).toEqual([
      'decide-primary shop-002',
      'promote shop-002',
      'listen shop-002',
      'note-history shop-002',
      'replicate shop-003',
      'route',
    ]);
    expect(about(made)).toEqual(['the router leads to 12 else 11']);
  });

  test.each<[string, Change]>([
    ['dies', dead],
    ['hangs', hung()],
    ['loads', loading],
    ['takes on a whole copy', replication({ syncInProgress: true })],
    ['has lost its primary for long', linkDown(11)],
    ['is far behind', behind(16 * mebibyte + 1)],
  ])('a replica that %s is left out', (_, change) => {
    const made = planned(trio, serving([second, third]), { ...routed, 'shop-003': change });
    expect(about(made)).toEqual(['the router leads to 11 else 10']);
  });

  test.each<[string, Change]>([
    ['does not answer once', silent],
    ['is between two primaries', linkDown()],
    ['lost its link just now', linkDown(10)],
    ['is a little behind', behind(16 * mebibyte)],
  ])('a replica that %s stays, and does not come in anew', (_, change) => {
    const changes = { ...routed, 'shop-003': change };
    expect(about(planned(trio, serving([second, third]), changes))).toEqual([]);
    expect(about(planned(trio, serving([second]), changes))).toEqual([]);
  });

  test('a replica that its primary has not heard of for long is left out; it comes back when it is near', () => {
    const with3 = serving([second, third]);
    const seen = (change: Change, more: Change = (same) => same) => ({
      'shop-001': change,
      'shop-002': boundTo(second),
      'shop-003': more,
    });
    expect(about(planned(trio, with3, seen(heard(0, 11))))).toEqual(['the router leads to 11 else 10']);
    expect(about(planned(trio, with3, seen(heard(0, 10))))).toEqual([]);
    const without = serving([second]);
    expect(about(planned(trio, without, seen(heard(0, 3))))).toEqual([]);
    expect(about(planned(trio, without, seen(heard(0, 2), behind(mebibyte))))).toEqual([
      'the router leads to 11 12 else 10',
    ]);
    expect(about(planned(trio, without, seen(heard(0, 2), behind(mebibyte + 1))))).toEqual([]);
  });

  test('the primary alone answers when no replica is near', () => {
    const changes = { 'shop-002': all(behind(100 * mebibyte), boundTo(second)), 'shop-003': dead };
    expect(about(planned(trio, serving([second, third]), changes))).toEqual(['the router leads to  else 10']);
  });

  test('gives the address back to a node before it shrinks to one replica', () => {
    const [shard] = trio.nodeGroups;
    const members = shard!.members.map((each, index) =>
      index === 2 ? { ...each, status: 'deleting' as const } : each,
    );
    const shrinking = { ...trio, nodeGroups: [{ ...shard!, members }] };
    // The router tells what it serves, and is asked for no spreading any more.
    const { routes } = serving([second, third]);
    expect(about(planned(shrinking, { routes }, routed))).toEqual([
      'the router gives it up',
      'shop-002 takes it',
    ]);
  });
});

describe('a group with one replica', () => {
  test('has it listen itself, also beside a router', () => {
    expect(planned(pair, ready, {})).toMatchObject({ steps: [], converged: true });
  });

  test('leads readers to the primary while it lacks data, and back', () => {
    expect(about(planned(pair, ready, { 'shop-002': behind(17 * mebibyte) }))).toEqual([
      'shop-002 gives it up',
      'shop-001 takes it',
    ]);
    const away = { 'shop-001': boundTo(first, '127.64.0.1', reader), 'shop-002': boundTo(second) };
    expect(about(planned(pair, ready, away))).toEqual(['shop-001 gives it up', 'shop-002 takes it']);
    const stillFar = { ...away, 'shop-002': all(behind(2 * mebibyte), boundTo(second)) };
    expect(about(planned(pair, ready, stillFar))).toEqual([]);
  });
});

describe('before engines that the router stands before', () => {
  const routeTo: NonNullable<Front['routeTo']> = ({ listenAddress, nodeAddress, moreAddresses = [] }) => {
    const at = (address: string) => ({ plain: { address, port: 1 }, tls: { address, port: 2 } });
    return {
      kind: 'either',
      listen: { address: listenAddress, port },
      ...at(nodeAddress),
      ...(moreAddresses.length > 0 && { more: moreAddresses.map(at) }),
    };
  };

  test('its reader route has every replica that is near, by the same rules', () => {
    const bare = { 'shop-001': boundTo(first), 'shop-002': boundTo(second) };
    const readerOf = (made: Plan) =>
      made.steps
        .flatMap((step) => (step.kind === 'route' ? step.routes : []))
        .find(({ listen }) => listen.address === reader);
    const made = planned(trio, { routeTo, routes: [] }, bare);
    const both = routeTo({ listenAddress: reader, nodeAddress: second, moreAddresses: [third] });
    expect(readerOf(made)).toEqual(both);
    const kept = { ...bare, 'shop-003': linkDown(5) };
    expect(readerOf(planned(trio, { routeTo, routes: [both] }, kept))).toEqual(both);
    expect(readerOf(planned(trio, { routeTo, routes: [] }, kept))).toEqual(
      routeTo({ listenAddress: reader, nodeAddress: second }),
    );
    const none = { ...bare, 'shop-002': dead, 'shop-003': dead };
    expect(readerOf(planned(trio, { routeTo, routes: [] }, none))).toEqual(
      routeTo({ listenAddress: reader, nodeAddress: first }),
    );
  });
});

test('the linter lets the router and an engine not both have an address', () => {
  const route = {
    kind: 'route',
    routes: serving([second, third]).routes,
    because: 'a test',
  } as const;
  const rules = (changes: Record<string, Change>) =>
    checkPlan([route], trio, observe(trio, changes)).map(({ invariant }) => invariant);
  expect(rules({})).toEqual(['I6']);
  expect(rules(routed)).toEqual([]);
});
