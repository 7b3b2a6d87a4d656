import { expect, test } from 'vitest';
import { nodePlaces } from './node-places.ts';

const shop = { resource: 'replication-group', id: 'shop' } as const;
const node = (nodeId: string, host: string, shard = '0001') => ({
  nodeId,
  host,
  address: `at ${nodeId}`,
  shard,
});
const urlOf = (host: string) => `https://${host}`;

test('a host is told of its nodes, and of the hosts that have copies of their data', () => {
  const places = nodePlaces();
  places.put(shop, [
    node('a', 'h1'),
    node('b', 'h2'),
    node('c', 'h1', '0002'),
    node('d', 'h3', '0002'),
    node('e', 'h4', '0003'),
  ]);
  expect(places.chargeOf('h1', urlOf)).toEqual([
    {
      group: 'shop',
      nodeIds: ['a', 'c'],
      peers: [
        { host: 'h2', url: 'https://h2' },
        { host: 'h3', url: 'https://h3' },
      ],
    },
  ]);
  expect(places.chargeOf('h4', urlOf)).toEqual([{ group: 'shop', nodeIds: ['e'], peers: [] }]);
  expect(places.chargeOf('h5', urlOf)).toEqual([]);
});

test('a node that went, or went elsewhere, is no longer where it was', () => {
  const places = nodePlaces();
  let changes = 0;
  places.onChange(() => {
    changes += 1;
  });
  places.put(shop, [node('a', 'h1'), node('b', 'h2')]);
  places.put(shop, [node('a', 'h1'), node('b', 'h2')]);
  expect(changes).toBe(1);
  places.put(shop, [{ ...node('a', 'h3'), address: 'elsewhere' }]);
  expect([places.hostOfNode('a'), places.hostOfNode('b')]).toEqual(['h3', undefined]);
  expect([places.hostOfAddress('at a'), places.hostOfAddress('elsewhere')]).toEqual([undefined, 'h3']);
  expect(places.ownersOn('h1')).toEqual([]);
  expect(places.ownersOn('h3')).toEqual([shop]);
  expect(places.ownerOf('a')).toEqual(shop);
});

test('a cluster of the same name is another', () => {
  const places = nodePlaces();
  places.put(shop, [node('a', 'h1')]);
  places.put({ resource: 'cache-cluster', id: 'shop' }, [node('b', 'h1')]);
  expect(places.chargeOf('h1', urlOf).map(({ group }) => group)).toEqual(['shop', 'cluster.shop']);
});
