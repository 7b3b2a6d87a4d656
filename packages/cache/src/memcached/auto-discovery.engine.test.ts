/** The nodes are real; only the configuration endpoint, which memcached itself doesn't have, is played here. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import type { NodeAddress } from '../driver/driver.ts';
import {
  answerConfig,
  answerOlder,
  type ConfigurationEndpoint,
  nodeList,
  startConfigurationEndpoint,
} from '../testing/configuration-endpoint.ts';
import { waitFor } from '../testing/wait-for.ts';
import type { MetaClientSettings } from './client-settings.ts';
import { NotConfigurationEndpointError } from './errors.ts';
import { MetaClient } from './meta-client.ts';

let engines: TestEngine[];
const clients: MetaClient[] = [];
const endpoints: ConfigurationEndpoint[] = [];
beforeAll(async () => {
  engines = await Promise.all([startEngine('memcached'), startEngine('memcached'), startEngine('memcached')]);
});
afterAll(async () => {
  for (const client of clients) client.close();
  for (const { server } of endpoints) server.close();
  await Promise.all((engines ?? []).map((engine) => engine.stop()));
});

async function startEndpoint(): Promise<ConfigurationEndpoint> {
  const endpoint = await startConfigurationEndpoint();
  endpoints.push(endpoint);
  return endpoint;
}

function open(endpoint: NodeAddress, settings: Partial<MetaClientSettings> = {}): MetaClient {
  const client = new MetaClient({ configurationEndpoint: endpoint, discoveryMs: 100, ...settings });
  clients.push(client);
  return client;
}

test.each([
  ['config get cluster', answerConfig],
  ['get AmazonElastiCache:cluster', answerOlder],
])('finds the nodes by `%s`, and follows when they change', async (_command, answer) => {
  const endpoint = await startEndpoint();
  endpoint.answer = answer(nodeList(1, engines.slice(0, 2)));
  const announced: (readonly NodeAddress[])[] = [];
  const client = open(endpoint.address, { events: { nodesChanged: (nodes) => announced.push(nodes) } });
  await client.ready();
  expect(client.nodes).toHaveLength(2);
  const keys = Array.from({ length: 300 }, (_, n) => `key:${n}`);
  await Promise.all(keys.map((key) => client.set(key, key)));
  const before = new Map(keys.map((key) => [key, client.nodeOf(key)]));

  endpoint.answer = answer(nodeList(2, engines));
  await waitFor('three nodes', () => client.nodes.length === 3);
  await client.ready();
  const stayed = keys.filter((key) => client.nodeOf(key) === before.get(key));
  expect(stayed.length).toBeGreaterThan(150);
  expect(stayed.length).toBeLessThan(270);
  const found = await client.getMany(stayed);
  expect(found.every((item, index) => item!.value!.toString() === stayed[index])).toBe(true);

  // Without an answer the last list holds; a list that says the same announces nothing.
  endpoint.answer = () => 'CONFIG cluster 0 7\r\n1\nwhat?\r\nEND\r\n';
  const asked = endpoint.asked;
  await waitFor('another question', () => endpoint.asked > asked + 1);
  endpoint.answer = answer(nodeList(3, engines));
  const askedAgain = endpoint.asked;
  await waitFor('another question', () => endpoint.asked > askedAgain + 1);
  expect(client.nodes).toHaveLength(3);
  expect(announced.map(({ length }) => length)).toEqual([2, 3]);

  endpoint.answer = answer(nodeList(4, engines.slice(1, 2)));
  await waitFor('one node', () => client.nodes.length === 1);
  expect((await client.set('key:0', 'moved')).outcome).toBe('stored');
});

test('a node that fails makes it look at once', async () => {
  const endpoint = await startEndpoint();
  const leaving = await startEngine('memcached');
  endpoint.answer = answerConfig(nodeList(1, [engines[0]!, leaving]));
  const client = open(endpoint.address, { discoveryMs: 2 ** 30 });
  await client.ready();
  endpoint.answer = answerConfig(nodeList(2, [engines[0]!]));
  await leaving.stop();
  await waitFor('one node', () => client.nodes.length === 1);
});

test('an endpoint that comes back is asked again', async () => {
  const endpoint = await startEndpoint();
  endpoint.answer = answerConfig(nodeList(1, [engines[0]!]));
  const client = open(endpoint.address, { discoveryMs: 2 ** 30 });
  await client.ready();
  endpoint.answer = answerConfig(nodeList(2, [engines[1]!]));
  for (const socket of endpoint.sockets) socket.destroy();
  await waitFor('the other node', () => client.nodes[0]!.host === engines[1]!.host);
});

test('a memcached is no configuration endpoint, and says so by type', async () => {
  const failures: Error[] = [];
  const client = open(engines[0]!, { events: { discoveryFailed: (error) => failures.push(error) } });
  await expect(client.ready()).rejects.toThrow(NotConfigurationEndpointError);
  expect(failures[0]).toBeInstanceOf(NotConfigurationEndpointError);
  expect(() => client.nodeOf('a')).toThrow('No memcached is known yet.');
});
