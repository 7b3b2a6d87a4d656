/** What holds of the state, whichever database keeps it. */
import { putMetricAlarm } from '@larder/control/alarm/put';
import {
  changeNotification,
  countAlarms,
  deleteAlarmRows,
  readAlarm,
  readHistory,
  readNotifications,
} from '@larder/control/alarm/store';
import { transitionIn } from '@larder/control/alarm/transition';
import type { ControlContext } from '@larder/control/control-context';
import type { Database, DatabaseTransaction } from '@larder/control/database/connect';
import { beginTerm } from '@larder/control/database/leadership';
import { ControllersDiffer, checkLikeness } from '@larder/control/database/likeness';
import { describeEvents } from '@larder/control/event-log/describe';
import { recordEvent } from '@larder/control/event-log/event-log';
import { insertJoinToken, readHosts, useJoinToken, writeHost } from '@larder/control/host/store';
import { usersOfParameterGroup } from '@larder/control/parameter-group/store';
import { releaseAddresses } from '@larder/control/placement/addresses';
import { oneMachine } from '@larder/control/placement/placement';
import {
  changeStatus,
  decidePrimary,
  deleteReplicationGroup,
  firstEpoch,
  insertReplicationGroup,
  readReplicationGroup,
  readReplicationGroups,
} from '@larder/control/replication-group/store';
import {
  deleteNamed,
  deleteTarget,
  insertActivity,
  readActions,
  readActivities,
  readPolicies,
  readTarget,
  readTargets,
  updateActivity,
  writeAction,
  writePolicy,
  writeTarget,
} from '@larder/control/scaling/store';
import { restoringNames } from '@larder/control/snapshot/store';
import { nodesInSubnetGroup } from '@larder/control/subnet-group/store';
import { publishIn } from '@larder/control/topic/publish';
import {
  countDeliveries,
  deleteDelivery,
  forgetOld,
  insertSubscription,
  insertTopic,
  raiseSecretGeneration,
  readDeliveries,
  reviveDead,
  writeFailure,
} from '@larder/control/topic/store';
import { limits, type Subscription } from '@larder/control/topic/topic';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  clusterGroup,
  replicatedGroup,
} from '../packages/control/src/replication-group/group.test-support.ts';

/** @param current the database of the test that runs, empty at its begin. */
export function stateContract(current: () => Database): void {
  let database: Database;
  beforeEach(() => {
    database = current();
  });
  const write = <T>(work: (transaction: DatabaseTransaction) => Promise<T>) =>
    database.transaction().execute(work);

  describe('a group', () => {
    test.each([
      ['replicated', replicatedGroup()],
      ['with cluster mode', clusterGroup(9, 2)],
    ])('gives a group back as it was: %s', async (_, group) => {
      await write((transaction) => insertReplicationGroup(transaction, group));
      expect(await readReplicationGroup(database, group.id)).toEqual(group);
    });

    test('lists groups in the order of their ids, page by page', async () => {
      for (const id of ['c', 'a', 'b']) {
        const group = replicatedGroup(1, { id });
        const nodeGroups = group.nodeGroups.map((each) => ({
          ...each,
          members: each.members.map((member) => ({ ...member, id: `${id}-001` })),
        }));
        await write((transaction) => insertReplicationGroup(transaction, { ...group, nodeGroups }));
      }
      const ids = async (filter: object) =>
        (await readReplicationGroups(database, filter)).map(({ id }) => id);
      expect(await ids({})).toEqual(['a', 'b', 'c']);
      expect(await ids({ limit: 2 })).toEqual(['a', 'b']);
      expect(await ids({ afterId: 'b', limit: 2 })).toEqual(['c']);
    });
  });

  describe('a decision', () => {
    beforeEach(() => write((transaction) => insertReplicationGroup(transaction, replicatedGroup())));

    test('is made once: the epoch it started from must still be the epoch', async () => {
      const group = replicatedGroup();
      expect(await write((transaction) => decidePrimary(transaction, group, '0001', 'shop-002'))).toBe(2);
      await expect(
        write((transaction) => decidePrimary(transaction, group, '0001', 'shop-003')),
      ).rejects.toThrow('no longer 1');
      expect((await readReplicationGroup(database, 'shop'))?.nodeGroups[0]?.primary).toBe('shop-002');
    });

    test('a pass that began before a deletion does not undo it', async () => {
      const change = (from: 'available' | 'deleting', to: 'available' | 'deleting') =>
        write((transaction) => changeStatus(transaction, 'shop', { from, to }));
      expect(await change('available', 'deleting')).toBe(true);
      expect(await change('available', 'available')).toBe(false);
      expect((await readReplicationGroup(database, 'shop'))?.status).toBe('deleting');
    });

    test('epochs go on when a name is used again', async () => {
      await write((transaction) => deleteReplicationGroup(transaction, { id: 'shop', epoch: 7 }));
      expect(await write((transaction) => firstEpoch(transaction, 'shop'))).toBe(8);
      await write((transaction) => deleteReplicationGroup(transaction, { id: 'shop', epoch: 9 }));
      expect(await write((transaction) => firstEpoch(transaction, 'shop'))).toBe(10);
      expect(await write((transaction) => firstEpoch(transaction, 'other'))).toBe(1);
    });
  });

  describe('addresses', () => {
    const take = (resource: 'replication-group' | 'cache-cluster', owners: string[], busy: string[] = []) =>
      write(async (transaction) => {
        const placement = oneMachine(
          () => ['127.64.0.1', '127.64.0.2', '127.64.0.3'],
          async (address) => !busy.includes(address),
        );
        const seats = owners.map((owner) => ({ owner, zone: 'us-east-1a' }));
        const places = await placement.take(transaction, { port: 6379, resource, seats });
        return new Map([...places].map(([owner, { address }]) => [owner, address]));
      });

    test('are given once each, and not while somebody listens there', async () => {
      expect([...(await take('replication-group', ['a/x'], ['127.64.0.1']))]).toEqual([
        ['a/x', '127.64.0.2'],
      ]);
      expect([...(await take('replication-group', ['a/y'])).values()]).toEqual(['127.64.0.1']);
      await expect(take('replication-group', ['a/z', 'a/w'])).rejects.toThrow('used up');
      // What was refused took none.
      expect([...(await take('replication-group', ['a/z'])).values()]).toEqual(['127.64.0.3']);
    });

    test("a group's end frees its own, not those of a cluster of its name or of a longer name", async () => {
      await take('replication-group', ['a/x']);
      await take('cache-cluster', ['a/0001']);
      await take('replication-group', ['ab/x']);
      await write((transaction) => releaseAddresses(transaction, { resource: 'replication-group', id: 'a' }));
      const left = await database.selectFrom('address').select('owner').orderBy('owner').execute();
      expect(left.map(({ owner }) => owner)).toEqual(['cache-cluster:a/0001', 'replication-group:ab/x']);
    });
  });

  describe('events', () => {
    const nowMs = Date.UTC(2030, 0, 31);
    const hourMs = 3_600_000;
    const record = (atMs: number, sourceId: string) =>
      write((transaction) =>
        recordEvent(transaction, {
          atMs,
          sourceId,
          sourceType: 'replication-group',
          message: `${sourceId}!`,
        }),
      );
    const ask = (input: object) =>
      describeEvents({ database, nowMs: () => nowMs } as unknown as ControlContext, input);

    test('the last hour unless asked for more; by source; gone after two weeks', async () => {
      await record(nowMs - 15 * 24 * hourMs, 'ancient');
      await record(nowMs - 2 * hourMs, 'old');
      await record(nowMs - 1_000, 'new');
      const messages = async (input: object) => (await ask(input)).Events?.map(({ Message }) => Message);
      expect(await messages({})).toEqual(['new!']);
      expect(await messages({ Duration: 180 })).toEqual(['old!', 'new!']);
      expect(await messages({ Duration: 20_160 * 2 })).toEqual(['old!', 'new!']);
      expect(
        await messages({ Duration: 180, SourceType: 'replication-group', SourceIdentifier: 'OLD' }),
      ).toEqual(['old!']);
      expect(await messages({ Duration: 180, SourceType: 'cache-cluster' })).toEqual([]);
    });

    test('come in pages, each once and in order', async () => {
      for (let index = 0; index < 45; index += 1) await record(nowMs - 1_000, `e${index}`);
      const seen: (string | undefined)[] = [];
      let marker: string | undefined;
      do {
        const page = await ask({ MaxRecords: 20, ...(marker !== undefined && { Marker: marker }) });
        seen.push(...(page.Events ?? []).map(({ SourceIdentifier }) => SourceIdentifier));
        marker = page.Marker;
      } while (marker !== undefined);
      expect(seen).toEqual(Array.from({ length: 45 }, (_, index) => `e${index}`));
    });

    test("another operation's marker, an id without its type and crossed times are refused", async () => {
      const foreign = Buffer.from('after:shop').toString('base64url');
      await expect(ask({ Marker: foreign })).rejects.toMatchObject({
        error: 'InvalidParameterValueException',
      });
      for (const input of [
        { SourceIdentifier: 'shop' },
        { StartTime: new Date(nowMs), EndTime: new Date(nowMs - 1) },
      ]) {
        await expect(ask(input)).rejects.toMatchObject({ error: 'InvalidParameterCombinationException' });
      }
    });
  });

  describe('what intents name', () => {
    test('is found inside of them', async () => {
      const group = replicatedGroup();
      const intent = { ...group.intent, restoreFrom: 'kept', subnetGroup: 'mine' };
      await write((transaction) =>
        insertReplicationGroup(transaction, { ...group, intent, status: 'creating' }),
      );
      expect([...(await restoringNames(database))]).toEqual(['kept']);
      expect(await usersOfParameterGroup(database, 'default.valkey9')).toEqual([
        { resource: 'replication-group', id: 'shop' },
      ]);
      expect(await usersOfParameterGroup(database, 'another')).toEqual([]);
      expect((await nodesInSubnetGroup(database, 'mine')).length).toBe(3);
    });
  });

  describe('autoscaling', () => {
    const key = { groupId: 'shop', dimension: 'Replicas' } as const;
    const shards = { ...key, dimension: 'NodeGroups' } as const;
    const atMs = 1_790_000_000_000;
    const target = {
      ...key,
      minCapacity: 1,
      maxCapacity: 5,
      suspended: { scaleIn: false, scaleOut: true, scheduled: false },
      region: 'us-east-1',
      createdAtMs: atMs,
      boundsDue: true,
      lastOutAtMs: atMs + 1,
    };
    const policy = {
      ...key,
      name: 'cpu',
      id: 'p1',
      configuration: { TargetValue: 42.5, DisableScaleIn: true },
      metric: { measure: 'engine-cpu', role: 'replica', statistic: 'mean' },
      createdAtMs: atMs,
    } as const;
    const action = {
      ...key,
      name: 'morning',
      id: 'a1',
      schedule: 'rate(1 day)',
      timezone: 'UTC',
      minCapacity: 3,
      createdAtMs: atMs,
      nextAtMs: atMs + 86_400_000,
    };
    const activity = {
      ...key,
      id: 'x1',
      description: 'Setting replica count to 2',
      cause: 'policy cpu',
      startedAtMs: atMs,
      status: 'Pending',
      change: { from: 1, to: 2 },
    } as const;
    const activities = async (filter: object = {}) =>
      (await readActivities(database, filter)).map((each) => each.activity);

    test('gives back what was written, and as it was written last', async () => {
      await write(async (transaction) => {
        await writeTarget(transaction, { ...target, lastInAtMs: 1 });
        await writeTarget(transaction, target);
        await writeTarget(transaction, { ...target, ...shards });
        await writePolicy(transaction, { ...policy, configuration: { TargetValue: 1 } });
        await writePolicy(transaction, policy);
        await writeAction(transaction, { ...action, endAtMs: 1 });
        await writeAction(transaction, action);
        await insertActivity(transaction, activity);
      });
      expect(await readTarget(database, key)).toEqual(target);
      expect((await readTargets(database)).map(({ dimension }) => dimension)).toEqual([
        'NodeGroups',
        'Replicas',
      ]);
      expect(await readPolicies(database, key)).toEqual([policy]);
      expect(await readActions(database, { groupId: 'shop' })).toEqual([action]);
      expect(await activities({ onlyOpen: true })).toEqual([activity]);
      await write((transaction) =>
        updateActivity(transaction, 'x1', {
          status: 'Successful',
          statusMessage: 'done',
          endedAtMs: atMs + 5,
        }),
      );
      expect(await activities({ onlyOpen: true })).toEqual([]);
      expect(await activities(key)).toEqual([
        { ...activity, status: 'Successful', statusMessage: 'done', endedAtMs: atMs + 5 },
      ]);
    });

    test('a target takes what belongs to it along; what was done stays, and ends', async () => {
      await write(async (transaction) => {
        for (const each of [key, shards]) {
          await writeTarget(transaction, { ...target, ...each });
          await writePolicy(transaction, { ...policy, ...each });
          await writeAction(transaction, { ...action, ...each });
          await insertActivity(transaction, { ...activity, ...each, id: each.dimension });
        }
        await deleteTarget(transaction, key);
      });
      expect((await readPolicies(database)).map(({ dimension }) => dimension)).toEqual(['NodeGroups']);
      expect((await readActions(database)).map(({ dimension }) => dimension)).toEqual(['NodeGroups']);
      expect((await activities({ onlyOpen: true })).map(({ id }) => id)).toEqual(['NodeGroups']);
      await write((transaction) => deleteReplicationGroup(transaction, { id: 'shop', epoch: 1 }));
      expect(await readTargets(database)).toEqual([]);
      expect((await activities()).map(({ status }) => status)).toEqual(['Unfulfilled', 'Unfulfilled']);
    });

    test('activities are read from the newest on, and are dropped after six weeks', async () => {
      const days = (count: number) => atMs + count * 86_400_000;
      await write(async (transaction) => {
        for (const day of [0, 1, 42]) {
          await insertActivity(transaction, { ...activity, id: `${day}`, startedAtMs: days(day) });
        }
        const notScaled = { code: 'AlreadyAtMaxCapacity', capacity: 5 } as const;
        await insertActivity(transaction, { ...activity, id: 'kept', startedAtMs: days(42) + 1, notScaled });
      });
      expect((await activities()).map(({ id }) => id)).toEqual(['kept', '42', '1']);
      expect((await activities({ onlyScaled: true })).map(({ id }) => id)).toEqual(['42', '1']);
      const [, second] = await readActivities(database, { limit: 2 });
      const rest = await readActivities(database, { beforeNumber: second!.number });
      expect(rest.map((each) => each.activity.id)).toEqual(['1']);
    });

    test('by name: once', async () => {
      await write((transaction) => writePolicy(transaction, policy));
      const remove = () => write((transaction) => deleteNamed(transaction, 'scaling_policy', policy));
      expect([await remove(), await remove()]).toEqual([true, false]);
    });
  });

  describe('the fleet', () => {
    test('a host that joins again is what it says then; a token is good once, and until it ends', async () => {
      const host = {
        name: 'a',
        zone: 'z',
        url: 'https://10.0.0.1:1',
        addresses: '10.0.1.0/24',
        joinedAtMs: 1,
        leaving: false,
      };
      await write((transaction) => writeHost(transaction, host));
      await write((transaction) => writeHost(transaction, { ...host, url: 'https://10.0.0.2:1' }));
      expect(await readHosts(database)).toEqual([{ ...host, url: 'https://10.0.0.2:1' }]);
      const use = (digest: string, nowMs: number) =>
        write((transaction) => useJoinToken(transaction, digest, nowMs));
      for (const digest of ['x', 'y']) {
        await write((transaction) =>
          insertJoinToken(transaction, { digest, expiresAtMs: 1_790_000_000_000 }),
        );
      }
      expect([await use('x', 1_780_000_000_000), await use('x', 1_780_000_000_000)]).toEqual([true, false]);
      expect(await use('y', 1_790_000_000_000)).toBe(false);
    });

    test('what is published is there once, waits, is given up, revived and forgotten', async () => {
      const arn = 'arn:aws:sns:us-east-1:000000000000:t';
      const subscription: Subscription = {
        arn: `${arn}:s`,
        topicArn: arn,
        protocol: 'https',
        endpoint: 'https://hooks.example/',
        secretGeneration: 1,
        createdAtMs: 1,
      };
      const message = { id: 'm', topicArn: arn, subject: undefined, body: 'ü', createdAtMs: 5 };
      await write((transaction) =>
        insertTopic(transaction, { arn, name: 't', displayName: '', createdAtMs: 1 }),
      );
      await write((transaction) => insertSubscription(transaction, subscription));
      await write((transaction) => publishIn(transaction, message, 'refuse'));
      await write((transaction) => publishIn(transaction, message, 'refuse'));
      const waiting = (dueMs: number) => readDeliveries(database, { status: 'pending', dueMs, limit: 9 });
      const standing = { status: 'pending', attempts: 0, atMs: 5, failure: undefined };
      expect(await waiting(4)).toEqual([]);
      expect(await waiting(5)).toEqual([{ message, subscription, ...standing }]);
      const [delivery] = await waiting(5);
      await writeFailure(database, delivery!, { status: 'dead', attempts: 3, atMs: 9, failure: 'no' });
      expect([await waiting(99), await countDeliveries(database, 'dead', arn)]).toEqual([[], 1]);
      expect(await reviveDead(database, 10)).toBe(1);
      await deleteDelivery(database, delivery!);
      expect(await countDeliveries(database, 'pending')).toBe(0);
      expect(await raiseSecretGeneration(database, subscription.arn)).toBe(2);
      const messages = () => database.selectFrom('topic_message').select('id').execute();
      await forgetOld(database, 5 + limits.rememberedMs);
      expect(await messages()).toEqual([{ id: 'm' }]);
      await forgetOld(database, 6 + limits.rememberedMs);
      expect(await messages()).toEqual([]);
    });

    test('an alarm moves from what was judged, once, and what it owes is kept until it is told', async () => {
      const context = {
        database,
        nowMs: () => 1_000,
        place: { region: 'us-east-1', accountId: '000000000000' },
        alarmsChanged: () => undefined,
      };
      const { place } = context;
      const configuration = {
        AlarmName: 'Ä "b"',
        ...{ Namespace: 'n', MetricName: 'm', Statistic: 'Sum' as const, Period: 60, Threshold: 0.1 },
        ...{ EvaluationPeriods: 1, ComparisonOperator: 'LessThanThreshold' as const },
        AlarmActions: ['arn:aws:sns:us-east-1:000000000000:ops'],
      };
      await putMetricAlarm(context, configuration);
      const alarm = (await readAlarm(database, configuration.AlarmName))!;
      expect(alarm).toMatchObject({
        configuration,
        state: 'INSUFFICIENT_DATA',
        revision: 1,
        owner: undefined,
      });
      const after = { state: 'ALARM' as const, reason: 'r', reasonData: '{"a":1}', atMs: 2_000 };
      expect(await write((transaction) => transitionIn(transaction, alarm, after, place, () => 'id'))).toBe(
        true,
      );
      expect(await write((transaction) => transitionIn(transaction, alarm, after, place))).toBe(false);
      const due = { held: false, dueMs: 0 };
      expect(await readNotifications(database, due)).toMatchObject([
        { id: 'id', topics: configuration.AlarmActions },
      ]);
      await write((transaction) => changeNotification(transaction, 'id', { attempts: 1, retryAtMs: 9 }));
      expect(await readNotifications(database, due)).toEqual([]);
      await write((transaction) => changeNotification(transaction, 'id', { topics: [] }));
      expect(await readNotifications(database, { held: false })).toEqual([]);
      const filter = { alarm: alarm.name, kinds: ['metric'], isAscending: false, limit: 9 };
      const history = await readHistory(database, filter);
      expect(history.map(({ item }) => [item.atMs, item.type])).toEqual([
        [2_000, 'StateUpdate'],
        [1_000, 'ConfigurationUpdate'],
      ]);
      expect([
        await countAlarms(database),
        (await readAlarm(database, alarm.name))?.stateTransitionedAtMs,
      ]).toEqual([1, 2_000]);
      await write((transaction) => deleteAlarmRows(transaction, [alarm.name]));
      expect(await countAlarms(database)).toBe(0);
    });

    test('terms rise', async () => {
      const first = await beginTerm(database);
      expect(await beginTerm(database)).toBe(first + 1);
    });

    test('a controller that has not what the others have is refused', async () => {
      await checkLikeness(database, { 'secret.key': 'a', 'ca.pem': 'b' });
      await checkLikeness(database, { 'secret.key': 'a', 'ca.pem': 'b' });
      await expect(checkLikeness(database, { 'secret.key': 'a', 'ca.pem': 'c' })).rejects.toThrow(
        ControllersDiffer,
      );
    });
  });
}
