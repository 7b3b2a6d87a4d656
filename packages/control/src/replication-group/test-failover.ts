/** TestFailover: the primary of one shard hands its role over and is started anew. */
import type { Input } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { nodeGroupId } from '@larder/contract/ids';
import type { ControlContext } from '../control-context.ts';
import type { DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import type { ReplicationGroup } from './replication-group.ts';
import { notFound, wrongState } from './requests.ts';
import { readReplicationGroup, restartMembers, setHandover } from './store.ts';

const mostPerDay = 15;
const dayMs = 24 * 3_600_000;
const announcement = 'Test Failover API called for node group';

/**
 * The status stays `available`, as ElastiCache's does; events and roles tell how far it is.
 * @throws ServiceError ReplicationGroupNotFoundFault, NodeGroupNotFoundFault, InvalidReplicationGroupState,
 *   APICallRateForCustomerExceeded beyond 15 in 24 hours
 */
export async function testFailover(
  context: ControlContext,
  input: Input<'TestFailover'>,
): Promise<ReplicationGroup> {
  const id = input.ReplicationGroupId.toLowerCase();
  const shard = nodeGroupId(input.NodeGroupId);
  const group = await context.database.transaction().execute(async (transaction) => {
    const found = await readReplicationGroup(transaction, id);
    if (found === undefined) throw notFound(id);
    const nodeGroup = found.nodeGroups.find((each) => each.id === shard);
    if (nodeGroup === undefined) {
      throw serviceError('NodeGroupNotFoundFault', `Replication group ${id} has no node group ${shard}.`);
    }
    if (found.status !== 'available') throw wrongState(found, "can't test a failover now");
    if (!found.intent.automaticFailover) {
      throw wrongState(found, 'has no automatic failover; turn it on to test it');
    }
    if (nodeGroup.handover !== undefined)
      throw wrongState(found, `its node group ${shard} is failing over already`);
    if (nodeGroup.members.length < 2) throw wrongState(found, `its node group ${shard} has no replica`);
    await refuseTooMany(transaction, context.nowMs());
    await setHandover(transaction, id, shard, { from: nodeGroup.primary });
    await restartMembers(transaction, [nodeGroup.primary]);
    await recordEvent(transaction, {
      atMs: context.nowMs(),
      sourceType: 'replication-group',
      sourceId: id,
      message: `${announcement} ${shard}`,
    });
    return found;
  });
  context.wake('replication-group', id);
  return group;
}

async function refuseTooMany(transaction: DatabaseTransaction, nowMs: number): Promise<void> {
  const { count } = await transaction
    .selectFrom('event')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('message', 'like', `${announcement} %`)
    .where('at', '>', nowMs - dayMs)
    .executeTakeFirstOrThrow();
  if (Number(count) < mostPerDay) return;
  throw serviceError(
    'APICallRateForCustomerExceededFault',
    `At most ${mostPerDay} node groups may be failed over for a test in 24 hours.`,
  );
}
