/** TestMigration, StartMigration and CompleteMigration: data of a node elsewhere becomes a group's own. */

import type { Input } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { askForeignNode, canFollow, type ForeignNode } from '@larder/fleet/foreign-node';
import type { ControlContext } from '../control-context.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { invalidValue } from '../request/refusals.ts';
import { memberOf, membersOf, nodeIdOf, type ReplicationGroup } from './replication-group.ts';
import { notFound, wrongState } from './requests.ts';
import { nextStatus } from './status.ts';
import { changeStatus, readReplicationGroup, setMigration } from './store.ts';

interface Source {
  readonly address: string;
  readonly port: number;
}

/**
 * Checks what StartMigration would, and changes nothing.
 * @throws ServiceError ReplicationGroupNotFoundFault, ReplicationGroupAlreadyUnderMigrationFault,
 *   InvalidReplicationGroupState for a group, and InvalidParameterValue for a source, that can't be used
 */
export async function testMigration(
  context: ControlContext,
  input: Input<'TestMigration'>,
): Promise<ReplicationGroup> {
  const source = readSource(input.CustomerNodeEndpointList);
  const group = await readGroup(context, input.ReplicationGroupId);
  refuseBusy(group);
  await checkPair(context, group, source);
  return group;
}

/** As testMigration; then the group reads `migrating`, and its primary becomes a replica of the source. */
export async function startMigration(
  context: ControlContext,
  input: Input<'StartMigration'>,
): Promise<ReplicationGroup> {
  const source = readSource(input.CustomerNodeEndpointList);
  const current = await readGroup(context, input.ReplicationGroupId);
  refuseBusy(current);
  await checkPair(context, current, source);
  const group = await context.database.transaction().execute(async (transaction) => {
    const found = await readReplicationGroup(transaction, current.id);
    if (found === undefined) throw notFound(current.id);
    refuseBusy(found);
    await setMigration(transaction, found.id, { source, inSync: false });
    await changeStatus(transaction, found.id, { from: found.status, to: 'migrating' });
    await recordEvent(transaction, {
      atMs: context.nowMs(),
      sourceType: 'replication-group',
      sourceId: found.id,
      message: `Migrating data from ${source.address}:${source.port} to replication group ${found.id}`,
    });
    return (await readReplicationGroup(transaction, found.id))!;
  });
  context.wake('replication-group', group.id);
  return group;
}

/**
 * Has the group leave its source: once everything is there, or with `Force` as it is. It reads `migrating` until then.
 * Writers are to have left the source before: what they write there later is not taken on.
 * @throws ServiceError ReplicationGroupNotFoundFault, ReplicationGroupNotUnderMigrationFault,
 *   InvalidReplicationGroupState while the data is not in sync and `Force` is not set
 */
export async function completeMigration(
  context: ControlContext,
  input: Input<'CompleteMigration'>,
): Promise<ReplicationGroup> {
  const id = input.ReplicationGroupId.toLowerCase();
  const completing = input.Force === true ? 'at-once' : 'in-sync';
  const group = await context.database.transaction().execute(async (transaction) => {
    const found = await readReplicationGroup(transaction, id);
    if (found === undefined) throw notFound(id);
    if (found.migration === undefined || found.status !== 'migrating') {
      throw serviceError(
        'ReplicationGroupNotUnderMigrationFault',
        `Replication group ${id} is ${found.status}; StartMigration comes first.`,
      );
    }
    if (completing === 'in-sync' && !found.migration.inSync) {
      throw wrongState(found, 'not in sync with its source; wait, or set Force to end with what it has');
    }
    await setMigration(transaction, id, { ...found.migration, completing });
    await recordEvent(transaction, {
      atMs: context.nowMs(),
      sourceType: 'replication-group',
      sourceId: id,
      message: `Completing the migration to replication group ${id}`,
    });
    return found;
  });
  context.wake('replication-group', id);
  return group;
}

async function readGroup({ database }: ControlContext, groupId: string): Promise<ReplicationGroup> {
  const id = groupId.toLowerCase();
  const group = await readReplicationGroup(database, id);
  if (group === undefined) throw notFound(id);
  return group;
}

function refuseBusy(group: ReplicationGroup): void {
  if (group.status === 'migrating') {
    throw serviceError(
      'ReplicationGroupAlreadyUnderMigrationFault',
      `Replication group ${group.id} is taking on data of ${group.migration?.source.address}:${group.migration?.source.port} already.`,
    );
  }
  if (nextStatus(group.status, 'migration-requested') !== 'migrating') {
    throw wrongState(group, "can't take on data now");
  }
  const { clusterEnabled, transit } = group.intent;
  if (clusterEnabled) throw wrongState(group, 'has cluster mode; data is taken on by groups without it');
  if (transit === 'required') {
    throw wrongState(group, 'talks only by TLS; set TransitEncryptionMode preferred for the migration');
  }
}

function readSource(endpoints: Input<'StartMigration'>['CustomerNodeEndpointList']): Source {
  const [endpoint, ...others] = endpoints ?? [];
  if (endpoint === undefined || others.length > 0) {
    throw invalidValue(
      `CustomerNodeEndpointList needs one endpoint, the source's primary; it has ${endpoints?.length ?? 0}.`,
    );
  }
  const { Address: address = '', Port: port = 0 } = endpoint;
  // A word for INFO and for a command: no spaces, nothing of a URL.
  if (!/^[A-Za-z0-9][A-Za-z0-9.:_-]{0,252}$/.test(address)) {
    throw invalidValue('The endpoint needs an Address: an IP address or a host name.');
  }
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw invalidValue(`The endpoint needs a Port from 1 to 65535; it is ${port}.`);
  }
  return { address, port };
}

async function checkPair(
  { host }: Pick<ControlContext, 'host'>,
  group: ReplicationGroup,
  { address, port }: Source,
): Promise<void> {
  const { id, intent, nodeGroups } = group;
  const observed = await host.observe(membersOf(group).map(nodeIdOf));
  const primary = observed.get(nodeIdOf(memberOf(nodeGroups[0]!, nodeGroups[0]!.primary)))?.engine;
  if (primary === undefined) throw wrongState(group, "can't take on data while its primary does not answer");
  if (primary.info.keys > 0) {
    throw wrongState(
      group,
      `holds ${primary.info.keys} keys, which the source's data would replace; flush it first`,
    );
  }
  const source: ForeignNode = await askForeignNode(address, port).catch((error: Error) => {
    throw invalidValue(`The source ${error.message}`);
  });
  const place = `The source ${address}:${port}`;
  if ([...observed.values()].some(({ engine }) => engine?.info.runId === source.runId)) {
    throw invalidValue(`${place} is a node of replication group ${id} itself.`);
  }
  if (source.clusterEnabled)
    throw invalidValue(`${place} runs with cluster mode; migrate from a node without it.`);
  if (source.role !== 'primary') throw invalidValue(`${place} is a replica; name its primary.`);
  if (source.loading) throw invalidValue(`${place} is loading its data; try again when it has.`);
  if (
    intent.engine !== 'memcached' &&
    canFollow({ engine: intent.engine, version: intent.engineVersion }, source)
  )
    return;
  throw invalidValue(
    `${place} runs ${source.engine} ${source.version}, whose data ${intent.engine} ${intent.engineVersion} can't read.`,
  );
}
