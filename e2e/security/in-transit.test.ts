/** The promise: clients can be moved to TLS and to passwords one by one, and none loses its connection on the way. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type CreateReplicationGroupCommandInput,
  ModifyReplicationGroupCommand,
  type ModifyReplicationGroupCommandInput,
} from '@aws-sdk/client-elasticache';
import type { Redis, RedisOptions } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { effect } from '../../testing/api-coverage.ts';
import {
  createGroup,
  describeGroup,
  errorName,
  groupAvailable,
  primaryOf,
} from '../../testing/elasticache-requests.ts';
import { endProcess } from '../../testing/engine-processes.ts';
import { startLarder, type TestLarder } from '../../testing/larder.ts';
import { infoField, type Place, redisClients } from '../../testing/redis-clients.ts';
import { waitFor } from '../../testing/wait-for.ts';
import { missingOf, writeProbe } from '../../testing/write-probe.ts';

const clients = redisClients();
const first = 'the-first-token-of-all';
const second = 'the-second-token-of-all';
const third = 'the-third-token-of-all';
let larder: TestLarder;
let ca: string;

beforeAll(async () => {
  larder = await startLarder({ logLevel: 'info' });
  ca = await readFile(join(larder.dataDirectory, 'tls', 'ca.pem'), 'utf8');
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
});

const noRetries = { retryStrategy: () => null, maxRetriesPerRequest: 0 };
const overTls = (place: Place, options: RedisOptions = {}) => clients.to(place, { tls: { ca }, ...options });

async function create(
  id: string,
  input: Partial<CreateReplicationGroupCommandInput>,
): Promise<{ primary: Place; members: Place[] }> {
  await createGroup(larder, id, input);
  return placesOf(id);
}

async function placesOf(id: string): Promise<{ primary: Place; members: Place[] }> {
  const { NodeGroups } = await groupAvailable(larder, id);
  const [shard] = NodeGroups!;
  return {
    primary: shard!.PrimaryEndpoint!,
    members: shard!.NodeGroupMembers!.map(({ ReadEndpoint }) => ReadEndpoint!),
  };
}

async function modify(id: string, input: Partial<ModifyReplicationGroupCommandInput>): Promise<void> {
  await larder.client.send(
    new ModifyReplicationGroupCommand({ ReplicationGroupId: id, ApplyImmediately: true, ...input }),
  );
  await groupAvailable(larder, id);
}

/** `PONG`, or the error's text. */
async function ping(place: Place, options: RedisOptions): Promise<string> {
  const client = clients.to(place, { ...noRetries, lazyConnect: true, connectTimeout: 1_000, ...options });
  let failure = '';
  client.on('error', (error) => {
    failure ||= error.message;
  });
  try {
    await client.connect();
    return await client.ping();
  } catch (error) {
    return failure || (error as Error).message;
  } finally {
    client.disconnect();
  }
}

/** Pings without pause; tells how often, and what went wrong. */
function pinging(client: Redis): { count: () => number; stop: () => Promise<string[]> } {
  const failures: string[] = [];
  let count = 0;
  let running = true;
  client.on('close', () => running && failures.push('closed'));
  const ended = (async () => {
    while (running) {
      await client.ping().then(
        () => {
          count += 1;
        },
        (error: Error) => failures.push(error.message),
      );
      if (failures.length > 0) return;
    }
  })();
  return {
    count: () => count,
    async stop() {
      running = false;
      await ended;
      return failures;
    },
  };
}

describe.each(['valkey', 'redis'] as const)('%s with TLS and a token', (Engine) => {
  const id = `safe-${Engine}`;

  test('asks for both, from its first moment; its replica follows it', async () => {
    const { primary, members } = await create(id, {
      Engine,
      NumCacheClusters: 2,
      TransitEncryptionEnabled: true,
      AuthToken: first,
    });
    await effect('CreateReplicationGroup', 'TLS and a token asked for, by two clients', async () => {
      expect(await ping(primary, { tls: { ca }, password: first })).toBe('PONG');
      expect(await ping(primary, { tls: { ca }, password: second })).toMatch(/WRONGPASS/);
      expect(await ping(primary, { tls: { ca } })).toMatch(/NOAUTH/);
      expect(await ping(primary, { password: first })).not.toBe('PONG');
      expect(await ping(primary, { tls: {}, password: first })).toMatch(/certificate/i);
    });
    const replica = overTls(members[1]!, { password: first });
    expect(await infoField(replica, 'master_link_status')).toBe('up');
    expect(await describeGroup(larder, id)).toMatchObject({
      AuthTokenEnabled: true,
      TransitEncryptionEnabled: true,
      TransitEncryptionMode: 'required',
    });
  });

  test('ROTATE lets two tokens in, SET only the one, and no connection ends', async () => {
    const { primary } = await placesOf(id);
    const old = pinging(overTls(primary, { password: first, ...noRetries }));
    await effect('ModifyReplicationGroup', 'AUTH tokens rotated and set, by clients of each', async () => {
      await modify(id, { AuthToken: second, AuthTokenUpdateStrategy: 'ROTATE' });
      expect(await ping(primary, { tls: { ca }, password: first })).toBe('PONG');
      expect(await ping(primary, { tls: { ca }, password: second })).toBe('PONG');
      await modify(id, { AuthToken: third, AuthTokenUpdateStrategy: 'ROTATE' });
      expect(await ping(primary, { tls: { ca }, password: first })).toMatch(/WRONGPASS/);
      expect(await ping(primary, { tls: { ca }, password: second })).toBe('PONG');
      await modify(id, { AuthToken: third, AuthTokenUpdateStrategy: 'SET' });
      expect(await ping(primary, { tls: { ca }, password: second })).toMatch(/WRONGPASS/);
      expect(await ping(primary, { tls: { ca }, password: third })).toBe('PONG');
    });
    expect(await old.stop()).toEqual([]);
    expect(old.count()).toBeGreaterThan(10);
  });

  test('a killed primary is followed by its replica, with the same token and a good certificate', async () => {
    const { primary } = await placesOf(id);
    const writer = overTls(primary, { password: third, retryStrategy: () => 2, maxRetriesPerRequest: 0 });
    const probe = writeProbe('after', (key) => writer.set(key, key));
    await waitFor(
      () => probe.count,
      (count) => count > 100,
      { what: '100 writes' },
    );
    const before = primaryOf(await describeGroup(larder, id));
    endProcess(larder.processes().find(({ nodeId }) => nodeId.startsWith(before))!.pid);
    const sofar = probe.count;
    await waitFor(
      () => probe.count,
      (count) => count > sofar + 100,
      { what: '100 more writes' },
    );
    const { acknowledged } = await probe.stop();
    expect(primaryOf(await describeGroup(larder, id))).not.toBe(before);
    expect((await missingOf(acknowledged, (keys) => writer.mget([...keys]))).length).toBeLessThanOrEqual(5);
  });
});

describe('a group without TLS', () => {
  const id = 'open';

  test('comes to it by way of both kinds of clients on one port, and goes back', async () => {
    const { primary, members } = await create(id, { NumCacheClusters: 2 });
    const plain = pinging(clients.to(primary, noRetries));
    const errors = await errorName(
      modify(id, { TransitEncryptionEnabled: true, TransitEncryptionMode: 'required' }),
    );
    expect(errors).toBe('InvalidParameterCombinationException');
    await effect('ModifyReplicationGroup', 'plain and TLS on one port, then TLS alone', async () => {
      await modify(id, { TransitEncryptionEnabled: true, TransitEncryptionMode: 'preferred' });
      for (const place of [primary, ...members]) {
        expect(await ping(place, {})).toBe('PONG');
        expect(await ping(place, { tls: { ca } })).toBe('PONG');
      }
      await modify(id, { TransitEncryptionEnabled: true, TransitEncryptionMode: 'required' });
      expect(await ping(primary, { tls: { ca } })).toBe('PONG');
      expect(await ping(primary, {})).not.toBe('PONG');
    });
    const secure = overTls(primary);
    await secure.set('a', '1');
    expect(await secure.wait(1, 5_000)).toBe(1);
    await modify(id, { TransitEncryptionEnabled: true, TransitEncryptionMode: 'preferred' });
    await modify(id, { TransitEncryptionEnabled: false });
    expect(await clients.to(primary).get('a')).toBe('1');
    expect(await ping(primary, { tls: { ca } })).not.toBe('PONG');
    await plain.stop();
  });

  test('its primary endpoint follows the primary while both kinds of clients are served', async () => {
    await modify(id, { TransitEncryptionEnabled: true, TransitEncryptionMode: 'preferred' });
    const { primary } = await placesOf(id);
    const before = primaryOf(await describeGroup(larder, id));
    const writer = overTls(primary, { retryStrategy: () => 2, maxRetriesPerRequest: 0 });
    await writer.set('b', '1');
    await writer.wait(1, 5_000);
    endProcess(larder.processes().find(({ nodeId }) => nodeId.startsWith(before))!.pid);
    await waitFor(
      () => writer.set('b', '2'),
      (reply) => reply === 'OK',
      { what: 'a write by the endpoint' },
    );
    expect(primaryOf(await describeGroup(larder, id))).not.toBe(before);
    expect(await clients.to(primary).get('b')).toBe('2');
  });
});
