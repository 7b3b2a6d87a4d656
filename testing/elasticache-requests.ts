/** The requests that many tests make, and waiting for what they lead to. */
import {
  type CacheCluster,
  CreateReplicationGroupCommand,
  type CreateReplicationGroupCommandInput,
  DeleteReplicationGroupCommand,
  DescribeCacheClustersCommand,
  DescribeReplicationGroupsCommand,
  type ElastiCacheClient,
  paginateDescribeEvents,
  type ReplicationGroup,
} from '@aws-sdk/client-elasticache';
import { waitFor } from './wait-for.ts';

/** Anything with the client of now: a restarted service has another. */
export interface Asks {
  readonly client: ElastiCacheClient;
}

export async function createGroup(
  { client }: Asks,
  id: string,
  input: Partial<CreateReplicationGroupCommandInput> = {},
): Promise<ReplicationGroup> {
  const { ReplicationGroup } = await client.send(
    new CreateReplicationGroupCommand({
      ReplicationGroupId: id,
      ReplicationGroupDescription: `${id} of a test`,
      ...input,
    }),
  );
  return ReplicationGroup!;
}

export async function describeGroup({ client }: Asks, id: string): Promise<ReplicationGroup> {
  const { ReplicationGroups } = await client.send(
    new DescribeReplicationGroupsCommand({ ReplicationGroupId: id }),
  );
  return ReplicationGroups![0]!;
}

export function groupAvailable(asks: Asks, id: string): Promise<ReplicationGroup> {
  return waitFor(
    () => describeGroup(asks, id),
    ({ Status }) => Status === 'available',
    { what: `replication group ${id} to be available`, limitMs: 60_000 },
  );
}

export async function deleteGroup({ client }: Asks, id: string): Promise<void> {
  await client.send(new DeleteReplicationGroupCommand({ ReplicationGroupId: id }));
}

export async function groupGone(asks: Asks, id: string): Promise<void> {
  await waitFor(
    () => errorName(describeGroup(asks, id)),
    (name) => name === 'ReplicationGroupNotFoundFault',
    { what: `replication group ${id} to be gone` },
  );
}

export async function describeCluster({ client }: Asks, id: string): Promise<CacheCluster> {
  const { CacheClusters } = await client.send(
    new DescribeCacheClustersCommand({ CacheClusterId: id, ShowCacheNodeInfo: true }),
  );
  return CacheClusters![0]!;
}

/** Messages of the last hour, oldest first. */
export async function eventsOf({ client }: Asks, id: string): Promise<string[]> {
  const messages: string[] = [];
  for await (const { Events } of paginateDescribeEvents({ client }, {})) {
    for (const each of Events ?? []) if (each.SourceIdentifier === id) messages.push(each.Message!);
  }
  return messages;
}

export function primaryOf(group: ReplicationGroup): string {
  const members = group.NodeGroups![0]!.NodeGroupMembers!;
  return members.find(({ CurrentRole }) => CurrentRole === 'primary')!.CacheClusterId!;
}

/** The SDK's exception class by its name, or `no error`. */
export function errorName(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'no error',
    (error: Error) => error.name,
  );
}
