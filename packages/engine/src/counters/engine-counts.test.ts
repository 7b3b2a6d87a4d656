import { expect, test } from 'vitest';
import { countInfo, countLatencies, countMemcached } from './engine-counts.ts';

const info = [
  '# Server',
  'run_id:abc',
  'used_memory:1000',
  'used_memory_human:1.00K',
  'role:slave',
  'master_link_status:up',
  'mem_fragmentation_ratio:1.25',
  'cmdstat_get:calls=10,usec=20,usec_per_call=2.00,rejected_calls=0,failed_calls=1',
  'cmdstat_hget:calls=5,usec=50,usec_per_call=10.00,rejected_calls=0,failed_calls=0',
  'cmdstat_hset:calls=2,usec=8,usec_per_call=4.00,rejected_calls=0,failed_calls=0',
  'cmdstat_config|get:calls=3,usec=9,usec_per_call=3.00,rejected_calls=0,failed_calls=0',
  'cmdstat_json.set:calls=1,usec=7,usec_per_call=7.00,rejected_calls=0,failed_calls=0',
  'errorstat_NOPERM:count=4',
  'db0:keys=3,expires=1,avg_ttl=99,keys_with_volatile_items=1',
  'db7:keys=2,expires=2,avg_ttl=5,keys_with_volatile_items=0',
  '',
].join('\r\n');

test('numbers of INFO by their names, commands by families and by what they do', () => {
  expect(countInfo(info)).toEqual({
    run: 'abc',
    counts: {
      used_memory: 1000,
      is_primary: 0,
      link_up: 1,
      mem_fragmentation_ratio: 1.25,
      string_calls: 10,
      string_usec: 20,
      hash_calls: 7,
      hash_usec: 58,
      read_calls: 15,
      read_usec: 70,
      read_failed_calls: 1,
      write_calls: 3,
      write_usec: 15,
      write_failed_calls: 0,
      keyless_calls: 3,
      keyless_usec: 9,
      json_calls: 1,
      json_usec: 7,
      'json-write_calls': 1,
      'json-write_usec': 7,
      errorstat_NOPERM: 4,
      db0_average_ttl_ms: 99,
      keys: 5,
      expires: 3,
      keys_with_volatile_items: 1,
    },
  });
});

test('a text that is no INFO says nothing', () => {
  expect(countInfo('')).toBeUndefined();
  expect(countInfo('-LOADING')).toBeUndefined();
  expect(countMemcached('ERROR\r\n')).toBeUndefined();
});

test('latencies by the bound that calls stayed within, over all commands that read or write', () => {
  const reply = [
    'get',
    ['calls', 100, 'histogram_usec', [1, 89, 2, 98, 16, 100]],
    'hget',
    ['calls', 3, 'histogram_usec', [2, 3]],
    'set',
    ['calls', 1, 'histogram_usec', [33, 1]],
    'ping',
    ['calls', 9, 'histogram_usec', [1, 9]],
  ];
  expect(countLatencies(reply)).toEqual({
    read_within_1: 89,
    read_within_2: 12,
    read_within_16: 2,
    write_within_33: 1,
  });
  expect(countLatencies('nothing of the kind')).toEqual({});
});

test('numbers of Memcached by their names', () => {
  const stats = 'STAT pid 7\r\nSTAT uptime 3\r\nSTAT get_hits 5\r\nSTAT rusage_user 0.250000\r\nEND\r\n';
  expect(countMemcached(stats)).toEqual({ run: '7', counts: { get_hits: 5, rusage_user: 0.25 } });
});
