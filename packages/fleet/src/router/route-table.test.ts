import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderNodeList } from './discovery-route.ts';
import {
  type DiscoveryRoute,
  type Route,
  RouteTableInvalid,
  readRouteTable,
  sameRoutes,
} from './route-table.ts';

const at = (n: number, port = 6379) => ({ address: `127.64.0.${n}`, port });
const certificate = { certificateFile: '/tls/cert.pem', keyFile: '/tls/cert.key' };
const discovery: DiscoveryRoute = {
  kind: 'discovery',
  listen: at(4),
  certificate,
  configVersion: 3,
  nodes: [
    { host: 'b', ip: '127.64.0.9', port: 11211 },
    { host: 'a', ip: '', port: 11211 },
  ],
  targets: [{ ...at(5), caFile: '/tls/ca.pem' }],
};
const routes: readonly Route[] = [
  { kind: 'either', listen: at(1), plain: at(5), tls: at(5, 6390) },
  {
    kind: 'iam',
    listen: at(2),
    certificate,
    upstream: { ...at(5, 6390), caFile: '/tls/ca.pem' },
    cacheName: 'shop',
    region: 'us-east-1',
    iamUsers: [{ userName: 'one', userId: 'one', upstreamPassword: 'a secret' }],
    anonymous: false,
  },
  { kind: 'spread', listen: at(3), targets: [at(5), at(6)], fallback: at(7) },
  { kind: 'spread', listen: { address: '::1', port: 1 }, targets: [] },
  {
    kind: 'either',
    listen: at(20),
    plain: at(21),
    tls: at(22),
    more: [
      { plain: at(23), tls: at(24) },
      { plain: at(25), tls: at(26) },
    ],
  },
  discovery,
];

test('a table is read as it was written, as JSON too', () => {
  const table = { epoch: 3, routes };
  expect(readRouteTable(table)).toEqual(table);
  expect(readRouteTable(JSON.parse(JSON.stringify(table)))).toEqual(table);
});

test('tables are the same in whatever order they say it, and with fields nobody knows', () => {
  const turned = [...routes]
    .reverse()
    .map(
      (route) =>
        Object.fromEntries([...Object.entries(route), ['whatever', 1]].reverse()) as unknown as Route,
    );
  expect(sameRoutes(routes, turned)).toBe(true);
  expect(sameRoutes(routes, routes.slice(1))).toBe(false);
  expect(sameRoutes(routes, [...routes.slice(0, -1), { ...discovery, configVersion: 4 }])).toBe(false);
});

describe('refused, by the name of what is wrong', () => {
  test.each<[string, unknown]>([
    ['the table must be an object', 7],
    ['epoch must be', { epoch: -1, routes: [] }],
    ['epoch must be', { epoch: 1.5, routes: [] }],
    ['routes must be a list', { epoch: 1, routes: {} }],
    ['routes[0].kind must be', { epoch: 1, routes: [{ kind: 'other', listen: at(1) }] }],
    ['routes[0].listen must be an object', { epoch: 1, routes: [{ kind: 'spread' }] }],
    ['routes[0].listen.address must be an IP', one({ listen: { address: 'localhost', port: 1 } })],
    ['routes[0].listen.port must be', one({ listen: { address: '127.0.0.1', port: 0 } })],
    ['routes[0].listen.port must be', one({ listen: { address: '127.0.0.1', port: 65_536 } })],
    ['routes[0].targets[1].port must be', one({ targets: [at(2), { address: '127.0.0.1' }] })],
    ['routes[0].nodes[0].host is no host', node({ host: 'a b' })],
    ['routes[0].nodes[0].ip is no address', node({ ip: '1|2' })],
    ['iamUsers[0].userName can’t', user({ userName: 'default' })],
    ['iamUsers[0].upstreamPassword must', user({ upstreamPassword: '' })],
    ['anonymous must be', { epoch: 1, routes: [{ ...routes[1], anonymous: undefined }] }],
    ['Two routes listen', { epoch: 1, routes: [routes[0], { ...routes[2], listen: at(1) }] }],
    ['127.64.0.1:6379 leads to', { epoch: 1, routes: [routes[2], { ...routes[0], tls: at(3) }] }],
  ])('%s …', (message, table) => {
    expect(() => readRouteTable(table)).toThrow(RouteTableInvalid);
    expect(() => readRouteTable(table)).toThrow(message.replace('’', "'"));
  });

  test('and never with its value, which may be a secret', () => {
    const broken = user({ upstreamPassword: 'x'.repeat(5_000), userId: 5 });
    expect(() => readRouteTable(broken)).toThrow(/^(?!.*xxx)/);
  });

  test('anything else is refused too, or is a table', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        try {
          expect(readRouteTable({ epoch: 1, routes: [value] }).routes).toHaveLength(1);
        } catch (error) {
          expect(error).toBeInstanceOf(RouteTableInvalid);
        }
      }),
      { numRuns: 500 },
    );
  });
});

function one(change: object): unknown {
  return { epoch: 1, routes: [{ kind: 'spread', listen: at(1), targets: [], ...change }] };
}

function node(change: object): unknown {
  return { epoch: 1, routes: [{ ...discovery, nodes: [{ ...discovery.nodes[0], ...change }] }] };
}

function user(change: object): unknown {
  const known = { userName: 'one', userId: 'one', upstreamPassword: 'a secret' };
  return { epoch: 1, routes: [{ ...routes[1], iamUsers: [{ ...known, ...change }] }] };
}

test('the node list in AWS’s words', () => {
  const text = '3\na||11211 b|127.64.0.9|11211\n';
  expect(renderNodeList(discovery, 'config').toString()).toBe(
    `CONFIG cluster 0 ${text.length}\r\n${text}\r\nEND\r\n`,
  );
  expect(renderNodeList(discovery, 'value').toString()).toBe(
    `VALUE AmazonElastiCache:cluster 0 ${text.length}\r\n${text}\r\nEND\r\n`,
  );
});
