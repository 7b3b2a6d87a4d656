/**
 * Tells clients of Sentinel, and those that ask for an endpoint by its name, who is primary, after a pass and at once after a promotion. Nobody waits for it: a failover
 * must not depend on who follows it, and what could not be told is told after the next pass.
 */
import { isDeepStrictEqual } from 'node:util';
import type { NodeObservation } from '@larder/fleet/host';
import type { RouterClient } from '@larder/fleet/router/router-client';
import type { EndpointNames, MasterEntry, SentinelMaster } from '@larder/fleet/router/sentinel/masters';
import { domainOf, isName } from '../placement/endpoint-names.ts';
import type { Logger } from '../reconciler/logger.ts';
import { type Member, type NodeGroup, nodeIdOf, type ReplicationGroup } from './replication-group.ts';

/** Under one name: what fits into one datagram. */
const mostAddresses = 8;

export interface SentinelTeller {
  /** @param promoted the primary was made one since it was observed. */
  tell(group: ReplicationGroup, observations: ReadonlyMap<string, NodeObservation>, promoted: boolean): void;
  forget(id: string): void;
  /** Forgets groups that ended while nobody told of it. */
  keepOnly(ids: readonly string[]): void;
}

export const tellsNobody: SentinelTeller = { tell() {}, forget() {}, keepOnly() {} };

export function sentinelTeller(
  router: Pick<RouterClient, 'putMaster' | 'masters'>,
  logger: Logger,
): SentinelTeller {
  /** What was told, or is being told. Whatever was told before a restart is told again, and changes nothing. */
  const told = new Map<string, MasterEntry>();
  let line: Promise<void> = Promise.resolve();

  function put(id: string, entry: MasterEntry): void {
    if (isDeepStrictEqual(told.get(id), entry)) return;
    told.set(id, entry);
    line = line.then(async () => {
      // Something newer is to be told already.
      if (told.get(id) !== entry) return;
      await router.putMaster(id, entry).catch((error: Error) => {
        if (told.get(id) === entry) told.delete(id);
        logger.warn({ group: id, error }, 'Clients of Sentinel could not be told of a group.');
      });
    });
  }

  function forget(id: string): void {
    const known = told.get(id) ?? router.masters().get(id);
    if (known?.master !== undefined || known?.names !== undefined) put(id, { epoch: known.epoch });
  }

  return {
    tell(group, observations, promoted) {
      if (group.status === 'deleting') return;
      const entry = group.intent.clusterEnabled
        ? clusterEntryOf(group, observations)
        : entryOf(group, observations, promoted, told.get(group.id)?.master);
      if (entry !== undefined) put(group.id, entry);
    },
    forget,
    keepOnly(ids) {
      for (const id of router.masters().keys()) if (!ids.includes(id)) forget(id);
    },
  };
}

/** (pure) Undefined while it is not certain that who is decided to be the primary is one: what was told stays. */
export function entryOf(
  group: ReplicationGroup,
  observations: ReadonlyMap<string, NodeObservation>,
  promoted: boolean,
  before: SentinelMaster | undefined,
): MasterEntry | undefined {
  const { members, primary } = group.nodeGroups[0]!;
  const seen = members
    .filter(({ status }) => status !== 'deleting')
    .map((member) => ({ member, observation: observations.get(nodeIdOf(member)) }));
  const leader = seen.find(({ member }) => member.id === primary);
  if (leader === undefined) return undefined;
  const leads = promoted || leader.observation?.engine?.info.replication.role === 'primary';
  if (!leads && before?.address !== leader.member.address) return undefined;
  const place = ({ address }: { readonly address: string }) => ({ address, port: group.intent.port });
  return {
    epoch: group.epoch,
    master: {
      name: group.id,
      ...place(leader.member),
      up: lives(leader.observation),
      replicas: seen
        .filter((each) => each !== leader)
        .map(({ member, observation }) => ({
          ...place(member),
          up: lives(observation),
          linkUp: linkIsUp(observation),
        })),
    },
    ...namesOf(group.nodeGroups[0]!, leader.member, readersAmong(seen, leader)),
  };
}

type Seen = { readonly member: Member; readonly observation: NodeObservation | undefined };

function readersAmong(seen: readonly Seen[], leader: Seen): Member[] {
  return seen
    .filter((each) => each !== leader && lives(each.observation) && linkIsUp(each.observation))
    .map(({ member }) => member);
}

function namesOf(
  { primaryAddress, readerAddress }: NodeGroup,
  leader: Member,
  readers: readonly Member[],
): { readonly names?: EndpointNames } {
  if (primaryAddress === undefined || readerAddress === undefined || !isName(primaryAddress)) return {};
  const led = readers.length === 0 ? [leader] : readers;
  return {
    names: {
      zone: domainOf(primaryAddress),
      records: [
        { name: primaryAddress, addresses: [leader.address] },
        { name: readerAddress, addresses: led.map(({ address }) => address).slice(0, mostAddresses) },
      ],
    },
  };
}

/**
 * (pure) Of a group in cluster mode its configuration endpoint is told, where that is a name: it leads to some of the nodes
 * that answer, by which clients find the others. Undefined while none does: what was told stays.
 */
export function clusterEntryOf(
  { epoch, configurationAddress, nodeGroups }: ReplicationGroup,
  observations: ReadonlyMap<string, NodeObservation>,
): MasterEntry | undefined {
  if (configurationAddress === undefined || !isName(configurationAddress)) return undefined;
  const answering = (member: Member) => {
    const observation = observations.get(nodeIdOf(member));
    return member.status !== 'deleting' && lives(observation) && observation?.engine?.cluster?.state === 'ok';
  };
  const primaries = nodeGroups.flatMap(({ primary, members }) => members.filter(({ id }) => id === primary));
  const others = nodeGroups.flatMap(({ members }) => members).filter((each) => !primaries.includes(each));
  const addresses = [...primaries, ...others]
    .filter(answering)
    .map(({ address }) => address)
    .slice(0, mostAddresses);
  if (addresses.length === 0) return undefined;
  const records = [{ name: configurationAddress, addresses }];
  return { epoch, names: { zone: domainOf(configurationAddress), records } };
}

function linkIsUp(observation: NodeObservation | undefined): boolean {
  return observation?.engine?.info.replication.primary?.linkUp === true;
}

function lives(observation: NodeObservation | undefined): boolean {
  const process = observation?.process;
  return process?.kind === 'running' && process.hang === undefined;
}
