import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseClusterNodes, parseInfo, parseSlotMigrations } from './info.ts';

const id = (letter: string) => letter.repeat(40);

describe('INFO', () => {
  test('of a Valkey replica in sync', () => {
    const text = [
      '# Server',
      'redis_version:7.2.4',
      'valkey_version:9.1.2',
      'process_id:4711',
      `run_id:${id('9')}`,
      'executable:/a:b/valkey-server',
      '# Persistence',
      'loading:0',
      '# Replication',
      'role:slave',
      'master_host:127.64.0.1',
      'master_port:6379',
      'master_link_status:up',
      'master_sync_in_progress:0',
      'slave_repl_offset:1112',
      `master_replid:${id('a')}`,
      `master_replid2:${id('0')}`,
      'master_repl_offset:1100',
      'second_repl_offset:-1',
      '# Keyspace',
      'db0:keys=40,expires=2,avg_ttl=0',
      'db11:keys=2,expires=0,avg_ttl=0,subexpiry=0',
      '',
    ].join('\r\n');
    expect(parseInfo(text)).toEqual({
      runId: id('9'),
      version: '9.1.2',
      pid: 4711,
      loading: false,
      keys: 42,
      usedMemoryBytes: 0,
      replication: {
        role: 'replica',
        replicationId: id('a'),
        previousReplicationId: id('0'),
        previousReplicationOffset: -1,
        offset: 1112,
        syncInProgress: false,
        replicas: [],
        primary: { address: '127.64.0.1', port: 6379, linkUp: true },
      },
    });
  });

  test('of a Redis primary, and of a replica that is loading', () => {
    const primary = parseInfo('redis_version:7.0.15\r\nrole:master\r\nmaster_repl_offset:7\r\n');
    expect(primary).toMatchObject({
      version: '7.0.15',
      keys: 0,
      replication: { role: 'primary', offset: 7 },
    });
    expect(primary.replication.primary).toBeUndefined();
    const loading = parseInfo(
      'loading:1\r\nrole:slave\r\nmaster_link_status:down\r\nmaster_sync_in_progress:1\r\n',
    );
    expect(loading).toMatchObject({
      loading: true,
      replication: { syncInProgress: true, primary: { linkUp: false } },
    });
  });

  test('no text makes it throw', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseInfo(text)));
  });
});

describe('CLUSTER NODES', () => {
  const text = [
    `${id('a')} 127.64.0.3:6379@16379,,tls-port=0,shard-id=${id('1')} myself,master - 0 0 1 connected 0-5460 5462 [93->-${id('b')}]`,
    `${id('b')} 127.64.0.4:6379@16379,host.example master,fail - 1700000000 1700000000 2 disconnected 5461 5463-16383`,
    `${id('c')} 127.64.0.5:6379@16379 slave,fail? ${id('a')} 0 1700000000 1 connected`,
    `${id('d')} 127.64.0.6:6379@16379 handshake - 0 0 0 disconnected`,
    `${id('e')} :0@0 master,noaddr - 0 0 0 disconnected`,
    'vars currentEpoch 6 lastVoteEpoch 0',
    '',
  ].join('\n');

  test('roles, health, slots without those under way, handshakes; nodes without an address left out', () => {
    const peers = parseClusterNodes(text);
    expect(peers.map(({ address, role, health }) => [address, role, health])).toEqual([
      ['127.64.0.3', 'primary', 'ok'],
      ['127.64.0.4', 'primary', 'fail'],
      ['127.64.0.5', 'replica', 'suspected'],
      ['127.64.0.6', 'primary', 'ok'],
    ]);
    expect(peers[0]).toMatchObject({
      myself: true,
      configEpoch: 1,
      linkUp: true,
      slots: [
        { first: 0, last: 5460 },
        { first: 5462, last: 5462 },
      ],
      openSlots: [{ slot: 93, direction: 'migrating', peerId: id('b') }],
    });
    expect(peers[1]).not.toHaveProperty('openSlots');
    expect(peers[2]).toMatchObject({ primaryId: id('a'), slots: [] });
    expect(peers[3]).toMatchObject({ handshake: true });
    expect(peers[1]?.primaryId).toBeUndefined();
  });

  test('no text makes it throw', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (noise) => void parseClusterNodes(noise)));
    fc.assert(fc.property(fc.nat(text.length), (length) => void parseClusterNodes(text.slice(0, length))));
  });
});

describe('CLUSTER GETSLOTMIGRATIONS', () => {
  const reply = [
    ...['name', 'x', 'operation', 'EXPORT', 'slot_ranges', '0-99 200-300', 'target_node', id('b')],
    ...['source_node', id('a'), 'create_time', 1_795_452_686, 'last_update_time', 1_795_452_687],
    ...['last_ack_time', 1_795_452_687, 'state', 'reading-establish-response', 'message', ''],
  ];
  const ended = (state: string) => [...reply.slice(0, -3), state, 'message', 'why'];

  test('which way, how far and when', () => {
    expect(parseSlotMigrations([reply, ended('success'), ended('failed'), ended('cancelled')])).toEqual(
      ['under-way', 'success', 'failed', 'cancelled'].map((state) => ({
        operation: 'export',
        sourceId: id('a'),
        targetId: id('b'),
        state,
        message: state === 'under-way' ? '' : 'why',
        createdAtMs: 1_795_452_686_000,
        updatedAtMs: 1_795_452_687_000,
      })),
    );
  });

  test('no reply makes it throw', () => {
    const [nameless] = parseSlotMigrations([[[{ toString: '' }], [], 'message', { toString: '' }]]);
    expect(nameless).toMatchObject({ state: 'under-way', message: '', createdAtMs: 0 });
    fc.assert(fc.property(fc.anything(), (noise) => void parseSlotMigrations(noise)));
    fc.assert(fc.property(fc.array(fc.anything()), (noise) => void parseSlotMigrations([noise])));
  });
});
