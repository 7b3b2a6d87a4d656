/** The service's own users at work: replicas, failovers and slots that move, with `default` closed. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { afterEach, describe, expect, test } from 'vitest';
import { installedServers, startEngine, type TestEngine } from '../../../testing/engine.ts';
import { infoField, redisClients } from '../../../testing/redis-clients.ts';
import { waitFor } from '../../../testing/wait-for.ts';
import { aclDirective, closedDefaultUser, replicationUser, restrict, serviceUser } from './acl.ts';
import { compareVersions } from './engine.ts';

const servers = await installedServers();
const password = 'correct-horse-battery';
const hash = createHash('sha256').update(password).digest('hex');

const clients = redisClients();
const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  clients.close();
  for (const close of open.splice(0).reverse()) await close();
});

describe.each(servers)('$engine $version', ({ engine, version }) => {
  async function start(...extra: readonly string[]): Promise<TestEngine> {
    const folder = await mkdtemp(join(tmpdir(), 'larder-acl-'));
    open.push(() => rm(folder, { recursive: true }));
    const users = [
      closedDefaultUser(),
      serviceUser(hash, engine, version),
      replicationUser(hash, engine, version, extra.includes('--cluster-enabled')),
      { name: 'app', rules: restrict(['on', `#${hash}`, '~*', '&*', '+@all'], engine, version) },
    ];
    const file = join(folder, 'users.conf');
    await writeFile(file, users.map((user) => `${aclDirective(user)}\n`).join(''));
    const login = ['--masteruser', 'larder-replica', '--masterauth', password];
    const more = ['--include', file, ...login, '--repl-diskless-sync-delay', '0', ...extra];
    const node = await startEngine(engine, more, version);
    open.push(() => node.stop());
    return node;
  }

  const as = (node: TestEngine, username: string): Redis =>
    clients.to({ Address: node.host, Port: node.port }, { enableReadyCheck: false, username, password });

  const linkUp = (replica: TestEngine) =>
    waitFor(
      () => infoField(as(replica, 'larder'), 'master_link_status'),
      (seen) => seen === 'up',
      { what: 'the link to the primary' },
    );

  const modes = compareVersions(version, '8.0') >= 0 && engine === 'valkey' ? ['no', 'yes'] : ['no'];
  test.each(modes)('a replica syncs, and after a break partially (dual channel: %s)', async (dual) => {
    const dualChannel = modes.length > 1 ? ['--dual-channel-replication-enabled', dual] : [];
    const primary = await start(...dualChannel);
    await as(primary, 'app').set('before', '1');
    const replica = await start(...dualChannel, '--replicaof', `${primary.host} ${primary.port}`);
    await linkUp(replica);
    expect(await as(replica, 'app').get('before')).toBe('1');

    const partial = async () => Number(await infoField(as(primary, 'larder'), 'sync_partial_ok'));
    const first = await partial();
    expect(await as(primary, 'larder').call('CLIENT', 'KILL', 'TYPE', 'replica')).toBeGreaterThan(0);
    await as(primary, 'app').set('after', '1');
    await waitFor(partial, (count) => count > first, { what: 'a partial resynchronisation' });
    await waitFor(
      () => as(replica, 'app').get('after'),
      (value) => value === '1',
      { what: 'the key' },
    );
    expect(await infoField(as(primary, 'larder'), 'sync_full')).toBe('1');

    // A planned switchover, each side as the service's user; the roles change by PSYNC FAILOVER.
    await as(primary, 'larder').call('FAILOVER', 'TO', replica.host, String(replica.port));
    await linkUp(primary);
    expect(await as(replica, 'app').set('new', '1')).toBe('OK');
  });

  test('in cluster mode: forming, replicas, a vote, slots that move', async () => {
    const nodes = await Promise.all(
      [1, 2, 3].map(() => start('--cluster-enabled', 'yes', '--cluster-port', '16379')),
    );
    const [first, second, replica] = nodes as [TestEngine, TestEngine, TestEngine];
    const larder = (node: TestEngine, ...words: string[]) =>
      as(node, 'larder').call(words[0]!, ...words.slice(1));
    await larder(first, 'CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await larder(first, 'CLUSTER', 'SET-CONFIG-EPOCH', '1');
    await larder(second, 'CLUSTER', 'SET-CONFIG-EPOCH', '2');
    for (const node of [second, replica]) {
      await larder(node, 'CLUSTER', 'MEET', first.host, String(first.port), '16379');
    }
    for (const node of nodes) {
      await waitFor(
        async () => String(await larder(node, 'CLUSTER', 'INFO')),
        (text) => text.includes('cluster_state:ok') && text.includes('cluster_known_nodes:3'),
        { what: 'the cluster' },
      );
    }
    const [firstId, secondId] = (await Promise.all(
      [first, second].map((node) => larder(node, 'CLUSTER', 'MYID')),
    )) as [string, string];
    const app = as(first, 'app');
    await app.set('key', 'value');
    const ofEveryType = ['{key}hash', '{key}list', '{key}set', '{key}sorted', '{key}stream'];
    await app.hset('{key}hash', 'a', '1');
    await app.rpush('{key}list', 'a');
    await app.sadd('{key}set', 'a');
    await app.zadd('{key}sorted', 1, 'a');
    await app.xgroup('CREATE', '{key}stream', 'group', '0', 'MKSTREAM');
    await app.xadd('{key}stream', '*', 'a', '1');
    await app.expire('{key}hash', 1_000);
    await larder(replica, 'CLUSTER', 'REPLICATE', firstId);
    await linkUp(replica);
    // A primary gives its vote to replicas only that it knows as its own.
    await waitFor(
      async () => String(await larder(first, 'CLUSTER', 'NODES')),
      (text) => text.includes(`slave ${firstId}`),
      { what: 'the primary to know its replica' },
    );
    await larder(replica, 'CLUSTER', 'FAILOVER');
    await waitFor(
      () => infoField(as(replica, 'larder'), 'role'),
      (role) => role === 'master',
      { what: 'the vote' },
    );
    await linkUp(first);

    // Key by key, as every version can.
    const slot = String(await as(replica, 'app').call('CLUSTER', 'KEYSLOT', 'key'));
    const sourceId = String(await larder(replica, 'CLUSTER', 'MYID'));
    await larder(second, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', sourceId);
    await larder(replica, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', secondId);
    const names = (await larder(replica, 'CLUSTER', 'GETKEYSINSLOT', slot, '10')) as string[];
    expect([...names].sort()).toEqual(['key', ...ofEveryType].sort());
    const target = ['MIGRATE', second.host, String(second.port), '', '0', '5000'];
    await larder(replica, ...target, 'AUTH2', 'larder', password, 'KEYS', ...names);
    for (const node of [second, replica]) await larder(node, 'CLUSTER', 'SETSLOT', slot, 'NODE', secondId);
    expect(await as(second, 'app').exists('key', ...ofEveryType)).toBe(6);

    if (engine !== 'valkey' || compareVersions(version, '9.0') < 0) return;
    // The other way at once: whole slots, by the nodes themselves.
    await waitFor(
      () => larder(second, 'CLUSTER', 'MIGRATESLOTS', 'SLOTSRANGE', slot, slot, 'NODE', sourceId),
      (reply) => reply === 'OK',
      { what: 'the migration to begin' },
    );
    await waitFor(
      () => as(replica, 'app').exists('key', ...ofEveryType),
      (count) => count === 6,
      { what: 'the slot to arrive' },
    );
  });
});
