import { expect, test } from 'vitest';
import { engineFindings, type PostgresFacts, postgresFindings } from './findings.ts';

const well: PostgresFacts = {
  versionNumber: 160_004,
  inRecovery: false,
  walLevel: 'logical',
  slotKeepMb: 4_096,
  synchronousCommit: 'on',
  freeSlots: 3,
  user: 'feed',
  isSuperuser: false,
  mayReplicate: true,
  onRds: false,
  slot: { plugin: 'pgoutput', active: true, walStatus: 'reserved', lagBytes: 100 },
  refusals: [],
};

test('nothing to say about a database that is well', () => {
  expect(postgresFindings(well, 'shop').filter(({ level }) => level !== 'ok')).toEqual([]);
});

test.each<[string, Partial<PostgresFacts>, string, 'error' | 'warning', RegExp]>([
  ['a standby', { inRecovery: true }, 'primary', 'error', /undefined/],
  ['too old', { versionNumber: 120_019 }, 'version', 'error', /undefined/],
  ['wal_level', { walLevel: 'replica' }, 'wal_level', 'error', /wal_level = 'logical'/],
  ['no bound on kept log', { slotKeepMb: -1 }, 'max_slot_wal_keep_size', 'warning', /max_slot_wal_keep_size/],
  ['no privilege', { mayReplicate: false }, 'replication', 'error', /ALTER ROLE "feed" REPLICATION;/],
  ['lazy commits', { synchronousCommit: 'off' }, 'synchronous_commit', 'warning', /synchronous_commit/],
  ['no slots left', { slot: undefined, freeSlots: 0 }, 'slot', 'error', /max_replication_slots/],
  [
    'a slot of another plugin',
    { slot: { ...well.slot!, plugin: 'test_decoding' } },
    'slot',
    'error',
    /undefined/,
  ],
  [
    'a lost slot',
    { slot: { ...well.slot!, walStatus: 'lost', active: false } },
    'slot',
    'warning',
    /drop_replication_slot/,
  ],
  ['an idle slot', { slot: { ...well.slot!, active: false } }, 'slot', 'warning', /drop_replication_slot/],
  [
    'an idle slot far behind',
    { slot: { ...well.slot!, active: false, lagBytes: 2 ** 30 } },
    'slot',
    'error',
    /drop_replication_slot/,
  ],
  [
    'a table',
    { refusals: ['No. Run: ALTER TABLE "t" REPLICA IDENTITY FULL; or not.'] },
    'tables',
    'error',
    /^ALTER TABLE "t" REPLICA IDENTITY FULL;$/,
  ],
])('%s', (_, facts, check, level, mend) => {
  const findings = postgresFindings({ ...well, ...facts }, 'shop').filter(
    (finding) => finding.level !== 'ok',
  );
  expect(findings.map((finding) => [finding.check, finding.level])).toEqual([[check, level]]);
  expect(String(findings[0]!.mend)).toMatch(mend);
});

test('engines: version, role, eviction', () => {
  const info = (version: string, role: string): string =>
    `redis_version:${version}\r\nrole:${role}\r\nmaxmemory_policy:noeviction\r\n`;
  expect(engineFindings(info('7.0.15', 'master'), undefined).every(({ level }) => level === 'ok')).toBe(true);
  expect(
    engineFindings(`valkey_version:9.1.2\r\n${info('7.2.4', 'master')}`, 'volatile-lru')[0]!.message,
  ).toBe('Valkey 9.1.2.');
  expect(engineFindings(info('5.0.7', 'slave'), 'allkeys-lru').map(({ level }) => level)).toEqual([
    'error',
    'error',
    'error',
  ]);
  expect(engineFindings('', undefined).map(({ level }) => level)).toEqual(['error', 'warning']);
});
