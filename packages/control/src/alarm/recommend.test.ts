import { afterEach, beforeEach, expect, test } from 'vitest';
import { replicatedGroup } from '../replication-group/group.test-support.ts';
import { deleteReplicationGroup, insertReplicationGroup } from '../replication-group/store.ts';
import { loadAlarm, place, type TestAlarms, testAlarms, topic } from './alarm.test-support.ts';
import { putMetricAlarm } from './put.ts';
import { readMetricAlarm } from './read-alarm.ts';
import { recommendations } from './recommend.ts';
import { recommendedAlarms } from './recommended.ts';
import { readAlarms } from './store.ts';

let alarms: TestAlarms;
let context: Parameters<typeof recommendations>[0];
const group = replicatedGroup(2);
const insert = () =>
  alarms.database.transaction().execute((transaction) => insertReplicationGroup(transaction, group));
const names = async () => (await readAlarms(alarms.database)).map(({ name }) => name);
const ofGroup = recommendedAlarms(
  {
    resource: 'replication-group',
    id: group.id,
    isMemcached: false,
    vcpus: 2,
    maxConnections: 65_000,
    nodes: group.nodeGroups[0]!.members.map(({ id }) => ({ clusterId: id, nodeId: '0001' })),
  },
  undefined,
).map(({ AlarmName }) => AlarmName);

beforeEach(() => {
  alarms = testAlarms();
  const nowMs = () => alarms.clock.ms;
  context = { database: alarms.database, nowMs, place, alarmsChanged: () => undefined };
});
afterEach(() => alarms.close());

test('what is recommended can be put, with thresholds of the node type', () => {
  const cache = { resource: 'cache-cluster', id: 'm', vcpus: 4, maxConnections: 1_000 } as const;
  const nodes = [
    { clusterId: 'm', nodeId: '0001' },
    { clusterId: 'm', nodeId: '0002' },
  ];
  const memcached = recommendedAlarms({ ...cache, isMemcached: true, nodes }, topic('ops'));
  const valkey = recommendedAlarms({ ...cache, isMemcached: false, nodes: nodes.slice(0, 1) }, undefined);
  const all = [...memcached, ...valkey];
  for (const each of all) expect(readMetricAlarm(each, place).periodSeconds).toBe(60);
  expect(new Set(memcached.map(({ AlarmName }) => AlarmName)).size).toBe(4);
  expect(memcached[0]).toMatchObject({
    Threshold: 90,
    AlarmActions: [topic('ops')],
    OKActions: [topic('ops')],
  });
  expect(
    valkey.map(({ MetricName, Threshold, EvaluationPeriods }) => [MetricName, Threshold, EvaluationPeriods]),
  ).toEqual([
    ['CPUUtilization', 22.5, 5],
    ['EngineCPUUtilization', 90, 5],
    ['DatabaseMemoryUsagePercentage', 80, 5],
    ['CurrConnections', 900, 10],
    ['ReplicationLag', 10, 15],
    ['AuthenticationFailures', 0, 1],
  ]);
});

test('a cache that they were asked for has them until it is gone', async () => {
  await insert();
  const { recommend, pass } = recommendations(context, undefined);
  await pass();
  expect(await names()).toEqual([]);
  expect(await recommend('nobody', undefined)).toBeUndefined();
  // A member is its group.
  expect(await recommend(group.nodeGroups[0]!.members[1]!.id, topic('ops'))).toEqual(ofGroup);
  expect(await names()).toEqual([...ofGroup].sort());
  await pass();
  expect(await names()).toHaveLength(ofGroup.length);
  await alarms.database.transaction().execute((transaction) => deleteReplicationGroup(transaction, group));
  await pass();
  expect(await names()).toEqual([]);
  expect(await alarms.database.selectFrom('alarm_recommendation').selectAll().execute()).toEqual([]);
});

test('one that a person deleted stays deleted, one that a person made stays theirs', async () => {
  await insert();
  const [first, second] = ofGroup as [string, string];
  await putMetricAlarm(context, loadAlarm(first));
  const { recommend, pass } = recommendations(context, undefined);
  await recommend(group.id, undefined);
  await alarms.call('DeleteAlarms', { AlarmNames: [second] });
  await pass();
  expect(await names()).not.toContain(second);
  await alarms.database.transaction().execute((transaction) => deleteReplicationGroup(transaction, group));
  await pass();
  expect(await names()).toEqual([first]);
});

test('asked for every cache, they come by themselves; asked again, with another topic', async () => {
  await insert();
  const { recommend, pass } = recommendations(context, { topic: topic('all') });
  await pass();
  const actions = async () =>
    new Set(
      (await readAlarms(alarms.database)).flatMap(({ configuration }) => configuration.AlarmActions ?? []),
    );
  expect(await actions()).toEqual(new Set([topic('all')]));
  await recommend(group.id, topic('own'));
  await pass();
  expect(await actions()).toEqual(new Set([topic('own')]));
});

test('alarms come and go with members', async () => {
  await insert();
  const { recommend, pass } = recommendations(context, undefined);
  await recommend(group.id, undefined);
  const gone = group.nodeGroups[0]!.members[1]!.id;
  await alarms.database.deleteFrom('member').where('id', '=', gone).execute();
  await pass();
  const left = await names();
  expect(left).toHaveLength(ofGroup.length / 2);
  expect(left.some((name) => name.startsWith(gone))).toBe(false);
});
