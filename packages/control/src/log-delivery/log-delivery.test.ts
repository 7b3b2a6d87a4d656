import type { Host } from '@larder/fleet/host';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { waitFor } from '../../../../testing/wait-for.ts';
import { connectLogFile, type LogDatabase } from '../log-store/tables.ts';
import type { LogDelivery } from '../node/service-intent.ts';
import { replicatedGroup } from '../replication-group/group.test-support.ts';
import { insertReplicationGroup, writeIntent } from '../replication-group/store.ts';
import { type TestControl, testControl } from '../user/control.test-support.ts';
import { type LogDeliveryLoop, logDeliveryLoop } from './log-delivery.ts';

type Deliver = Host['deliverLogs'];

const slow: LogDelivery = {
  logType: 'slow-log',
  destinationType: 'cloudwatch-logs',
  destination: '/shop',
  logFormat: 'json',
  sinceMs: 7,
};

let control: TestControl;
let logDatabase: LogDatabase;
let loop: LogDeliveryLoop;
let asked: Parameters<Deliver>[];
let answer: Awaited<ReturnType<Deliver>>[number];

beforeEach(async () => {
  control = testControl();
  logDatabase = connectLogFile(':memory:');
  asked = [];
  answer = { logType: 'slow-log', more: false };
  loop = logDeliveryLoop({
    database: control.database,
    host: {
      deliverLogs: async (...args) => {
        asked.push(args);
        return [answer];
      },
      // What is read of logs is seen in log-store/.
      readLog: async (_source, _target, position) => ({ lines: [], position, more: false }),
    },
    logDatabase,
    nowMs: Date.now,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
  });
  const group = replicatedGroup(2);
  await control.database.transaction().execute((transaction) => insertReplicationGroup(transaction, group));
});

afterEach(async () => {
  await loop.stop();
  await logDatabase.destroy();
  await control.close();
});

async function ask(logDelivery: readonly LogDelivery[]): Promise<void> {
  const intent = { ...replicatedGroup(2).intent, logDelivery };
  await control.database
    .transaction()
    .execute((transaction) => writeIntent(transaction, { id: 'shop', intent }));
}

const askedAtLeast = (count: number) =>
  waitFor(
    () => asked.length,
    (length) => length >= count,
    { what: `${count} deliveries` },
  );

test('every node of a group is asked for, with what was asked of its logs', async () => {
  await ask([slow]);
  loop.wake('replication-group', 'shop');
  await askedAtLeast(2);
  await loop.stop();
  expect(asked).toEqual(
    ['shop-001', 'shop-002'].map((clusterId) => [
      { nodeId: `${clusterId}.0001`, engine: 'valkey', clusterId, cacheNodeId: '0001' },
      [{ logType: 'slow-log', format: 'json', destination: '/shop', sinceMs: 7 }],
    ]),
  );
});

test('a backlog is gone on with at once', async () => {
  await ask([slow]);
  answer = { logType: 'slow-log', more: true };
  loop.wake('replication-group', 'shop');
  // Every five seconds it would take minutes.
  await askedAtLeast(100);
});

test('a failure is shown until the next delivery, or until none is wanted', async () => {
  const failures = () => loop.failures('replication-group', 'shop').get('slow-log');
  const shown = (wanted: string | undefined) => {
    loop.wake('replication-group', 'shop');
    return waitFor(failures, (failure) => failure === wanted, { what: `the failure to be ${wanted}` });
  };
  await ask([slow]);
  answer = { ...answer, failure: 'The disk is full.' };
  await shown('The disk is full.');
  answer = { logType: 'slow-log', more: false };
  await shown(undefined);
  answer = { ...answer, failure: 'The disk is full.' };
  await shown('The disk is full.');
  await ask([]);
  await shown(undefined);
  expect(loop.failures('cache-cluster', 'shop').size).toBe(0);
});

test('nobody is asked where no delivery is wanted, or nothing is', async () => {
  loop.wake('replication-group', 'shop');
  loop.wake('replication-group', 'gone');
  loop.wake('cache-cluster', 'gone');
  await loop.stop();
  expect(asked).toEqual([]);
});
