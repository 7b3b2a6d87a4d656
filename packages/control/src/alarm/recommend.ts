/**
 * Makes recommended alarms for the caches that are to have them, and takes them away with their nodes. One that a person
 * deleted is not made again, and one that a person made under such a name is left alone.
 */
import { nodeTypes } from '@larder/engine/node-type';
import { readCacheClusters } from '../cache-cluster/store.ts';
import type { DatabaseTransaction } from '../database/connect.ts';
import { membersOf } from '../replication-group/replication-group.ts';
import { readReplicationGroups } from '../replication-group/store.ts';
import type { AlarmContext } from './put.ts';
import { putIn } from './put.ts';
import { recommendedAlarms, type WatchedCache } from './recommended.ts';
import { removeIn } from './requests.ts';
import { readAlarms } from './store.ts';

export interface Recommendations {
  /** Looks at every cache that is to have them. */
  pass(): Promise<void>;
  /**
   * That cache has them from now on, also those that were deleted.
   * @returns their names; undefined when there is no such group or cluster.
   */
  recommend(id: string, topic: string | undefined): Promise<readonly string[] | undefined>;
}

/** @param everyCache set: also every cache that nobody asked it for. */
export function recommendations(
  context: AlarmContext,
  everyCache: { readonly topic: string | undefined } | undefined,
): Recommendations {
  const { database, alarmsChanged } = context;

  async function pass(): Promise<void> {
    const rows = await database.selectFrom('alarm_recommendation').selectAll().execute();
    if (rows.length === 0 && everyCache === undefined) return;
    const caches = await watchedCaches(context);
    const here = new Set(caches.map(keyOf));
    for (const row of rows.filter(
      (each) => !here.has(keyOf(each as Pick<WatchedCache, 'resource' | 'id'>)),
    )) {
      await forget(row);
    }
    for (const cache of caches) {
      const row = rows.find((each) => each.resource === cache.resource && each.id === cache.id);
      if (row === undefined && everyCache === undefined) continue;
      const topic = row === undefined ? everyCache?.topic : (row.topic ?? undefined);
      await settle(cache, topic, JSON.parse(row?.made ?? '[]') as string[]);
    }
  }

  async function forget({ resource, id }: { readonly resource: string; readonly id: string }): Promise<void> {
    await database.transaction().execute(async (transaction) => {
      const owned = await ownedBy(transaction, `${resource}/${id}`);
      await removeIn(transaction, owned, context);
      await transaction
        .deleteFrom('alarm_recommendation')
        .where('resource', '=', resource)
        .where('id', '=', id)
        .execute();
    });
    alarmsChanged();
  }

  /** @returns the names of all that are recommended. */
  async function settle(
    cache: WatchedCache,
    topic: string | undefined,
    made: readonly string[],
  ): Promise<readonly string[]> {
    const owner = keyOf(cache);
    const wanted = recommendedAlarms(cache, topic);
    const names = wanted.map(({ AlarmName }) => AlarmName);
    const fresh = wanted.filter(({ AlarmName }) => !made.includes(AlarmName));
    if (fresh.length === 0 && made.length === names.length) return names;
    await database.transaction().execute(async (transaction) => {
      const present = await readAlarms(transaction, names);
      for (const configuration of fresh) {
        const before = present.find(({ name }) => name === configuration.AlarmName);
        if (before !== undefined && before.owner !== owner) continue;
        await putIn(transaction, context, { kind: 'metric', configuration, owner }, []);
      }
      const surplus = (await ownedBy(transaction, owner)).filter(({ name }) => !names.includes(name));
      await removeIn(transaction, surplus, context);
      const row = { topic: topic ?? null, made: JSON.stringify(names) };
      await transaction
        .insertInto('alarm_recommendation')
        .values({ resource: cache.resource, id: cache.id, ...row })
        .onConflict((conflict) => conflict.columns(['resource', 'id']).doUpdateSet(row))
        .execute();
    });
    alarmsChanged();
    return names;
  }

  return {
    pass,
    async recommend(id, topic) {
      const caches = await watchedCaches(context);
      const cache =
        caches.find((each) => each.id === id) ??
        caches.find(({ nodes }) => nodes.some(({ clusterId }) => clusterId === id));
      return cache && settle(cache, topic, []);
    },
  };
}

function keyOf({ resource, id }: Pick<WatchedCache, 'resource' | 'id'>): string {
  return `${resource}/${id}`;
}

async function ownedBy(transaction: DatabaseTransaction, owner: string) {
  return (await readAlarms(transaction)).filter((alarm) => alarm.owner === owner);
}

/** Those that are not on their way out. */
async function watchedCaches({ database }: Pick<AlarmContext, 'database'>): Promise<readonly WatchedCache[]> {
  const groups = (await readReplicationGroups(database)).map((group) => ({
    resource: 'replication-group' as const,
    ...group,
    nodes: membersOf(group).map(({ id }) => ({ clusterId: id, nodeId: '0001' })),
  }));
  const clusters = (await readCacheClusters(database)).map((cluster) => ({
    resource: 'cache-cluster' as const,
    ...cluster,
    nodes: cluster.nodes.map(({ id }) => ({ clusterId: cluster.id, nodeId: id })),
  }));
  return [...groups, ...clusters]
    .filter(({ status }) => status !== 'deleting')
    .map(({ resource, id, intent, nodes }) => {
      const { vcpus, maxConnections } = nodeTypes.get(intent.nodeType)!;
      return { resource, id, isMemcached: intent.engine === 'memcached', vcpus, maxConnections, nodes };
    });
}
