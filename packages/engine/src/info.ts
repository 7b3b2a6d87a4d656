/** (pure) What Valkey and Redis say about themselves, as typed values. Unknown lines are skipped. */
import type { SlotRange } from './slots.ts';

export interface ReplicationInfo {
  readonly role: 'primary' | 'replica';
  /** Names one history of writes; offsets are comparable only within it. */
  readonly replicationId: string;
  /** The history before the last promotion, and up to which offset it is shared. */
  readonly previousReplicationId: string;
  readonly previousReplicationOffset: number;
  /** How far this node has got in its history, in bytes. */
  readonly offset: number;
  readonly primary?: {
    readonly address: string;
    readonly port: number;
    readonly linkUp: boolean;
    /** Since the link was lost. Missing while it is up, or when it never was. */
    readonly linkDownSeconds?: number;
  };
  readonly syncInProgress: boolean;
  /** A primary's: who follows it. */
  readonly replicas: readonly FollowingReplica[];
}

export interface FollowingReplica {
  readonly address: string;
  readonly port: number;
  readonly online: boolean;
  /**
   * Up to where it said that it has the stream; 0 before it said anything. With a single channel a primary holds its
   * stream back until then, while the replica already calls itself in sync.
   */
  readonly acknowledgedOffset: number;
  /** Since it said so; it does once a second. Missing when the primary does not tell. */
  readonly silentSeconds?: number;
}

export interface ServerInfo {
  readonly runId: string;
  readonly version: string;
  readonly pid: number;
  readonly loading: boolean;
  readonly keys: number;
  readonly usedMemoryBytes: number;
  readonly replication: ReplicationInfo;
}

/** Reads the reply of `INFO server persistence replication keyspace` (or of `INFO`). */
export function parseInfo(text: string): ServerInfo {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const number = (name: string) => Number(fields.get(name) ?? 0);
  const word = (name: string) => fields.get(name) ?? '';

  const isReplica = word('role') === 'slave';
  let keys = 0;
  for (const [name, value] of fields) {
    if (/^db\d+$/.test(name)) keys += Number(/keys=(\d+)/.exec(value)?.[1] ?? 0);
  }
  return {
    runId: word('run_id'),
    version: word('valkey_version') || word('redis_version'),
    pid: number('process_id'),
    loading: word('loading') === '1',
    keys,
    usedMemoryBytes: number('used_memory'),
    replication: {
      role: isReplica ? 'replica' : 'primary',
      replicationId: word('master_replid'),
      previousReplicationId: word('master_replid2'),
      previousReplicationOffset: number('second_repl_offset'),
      offset: isReplica ? number('slave_repl_offset') : number('master_repl_offset'),
      syncInProgress: word('master_sync_in_progress') === '1',
      replicas: [...fields].flatMap(([name, value]) =>
        /^slave\d+$/.test(name) ? [parseReplica(value)] : [],
      ),
      ...(isReplica && {
        primary: {
          address: word('master_host'),
          port: number('master_port'),
          linkUp: word('master_link_status') === 'up',
          ...(number('master_link_down_since_seconds') >= 0 &&
            fields.has('master_link_down_since_seconds') && {
              linkDownSeconds: number('master_link_down_since_seconds'),
            }),
        },
      }),
    },
  };
}

function parseReplica(line: string): FollowingReplica {
  const fields = new Map(line.split(',').map((each) => each.split('=') as [string, string]));
  return {
    address: fields.get('ip') ?? '',
    port: Number(fields.get('port')),
    online: fields.get('state') === 'online',
    acknowledgedOffset: Number(fields.get('offset') ?? 0),
    ...(fields.has('lag') && { silentSeconds: Number(fields.get('lag')) }),
  };
}

export interface ClusterPeer {
  readonly id: string;
  readonly address: string;
  readonly port: number;
  readonly myself: boolean;
  readonly role: 'primary' | 'replica';
  /** The peer that this one replicates, by id. */
  readonly primaryId?: string;
  /** As this node sees it: `fail` agreed by a majority, `suspected` by this node alone. */
  readonly health: 'ok' | 'suspected' | 'fail';
  /** Met but not yet acknowledged: its id is not final. */
  readonly handshake: boolean;
  readonly configEpoch: number;
  readonly linkUp: boolean;
  readonly slots: readonly SlotRange[];
  /** Slots under way key by key, and with whom; a node tells only of its own. Missing when there are none. */
  readonly openSlots?: readonly OpenSlot[];
}

export interface OpenSlot {
  readonly slot: number;
  readonly direction: 'importing' | 'migrating';
  /** The node it comes from or goes to, by id. */
  readonly peerId: string;
}

/** Reads the reply of `CLUSTER NODES`. Peers without an address (not yet known) are left out. */
export function parseClusterNodes(text: string): ClusterPeer[] {
  const peers: ClusterPeer[] = [];
  for (const line of text.split('\n')) {
    const [id, place, flagText, primaryId, , , epoch, link, ...slots] = line.trim().split(' ');
    if (id === undefined || place === undefined || flagText === undefined) continue;
    const flags = flagText.split(',');
    const openSlots = slots.flatMap((slot): OpenSlot[] => {
      const open = /^\[(\d+)-([<>])-(\w+)\]$/.exec(slot);
      if (open === null) return [];
      const direction = open[2] === '<' ? 'importing' : 'migrating';
      return [{ slot: Number(open[1]), direction, peerId: open[3]! }];
    });
    const match = /^([^:@,]+):(\d+)/.exec(place);
    if (match === null || flags.includes('noaddr')) continue;
    peers.push({
      id,
      address: match[1]!,
      port: Number(match[2]),
      myself: flags.includes('myself'),
      role: flags.includes('slave') ? 'replica' : 'primary',
      ...(primaryId !== undefined && primaryId !== '-' && { primaryId }),
      health: flags.includes('fail') ? 'fail' : flags.includes('fail?') ? 'suspected' : 'ok',
      handshake: flags.includes('handshake'),
      configEpoch: Number(epoch ?? 0),
      linkUp: link === 'connected',
      slots: slots.flatMap((slot) => {
        const range = /^(\d+)(?:-(\d+))?$/.exec(slot);
        return range === null ? [] : [{ first: Number(range[1]), last: Number(range[2] ?? range[1]) }];
      }),
      ...(openSlots.length > 0 && { openSlots }),
    });
  }
  return peers;
}

/** One move of whole slots by the engines themselves (Valkey 9.0 and later), as one side of it tells. */
export interface SlotMigration {
  readonly operation: 'export' | 'import';
  readonly sourceId: string;
  readonly targetId: string;
  readonly state: 'under-way' | 'success' | 'failed' | 'cancelled';
  /** The engine's own words on a failure. */
  readonly message: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** Reads the reply of `CLUSTER GETSLOTMIGRATIONS`: those under way and some of those that ended, the newest first. */
export function parseSlotMigrations(reply: unknown): SlotMigration[] {
  if (!Array.isArray(reply)) return [];
  return reply.flatMap((each): SlotMigration[] => {
    if (!Array.isArray(each)) return [];
    const fields = new Map<unknown, unknown>();
    for (let index = 0; index + 1 < each.length; index += 2) fields.set(each[index], each[index + 1]);
    const word = (name: string) => {
      const value = fields.get(name);
      return typeof value === 'string' ? value : '';
    };
    const milliseconds = (name: string) => {
      const seconds = fields.get(name);
      return typeof seconds === 'number' ? seconds * 1_000 : 0;
    };
    const state = word('state');
    return [
      {
        operation: word('operation').toUpperCase() === 'EXPORT' ? 'export' : 'import',
        sourceId: word('source_node'),
        targetId: word('target_node'),
        state: state === 'success' || state === 'failed' || state === 'cancelled' ? state : 'under-way',
        message: word('message'),
        createdAtMs: milliseconds('create_time'),
        updatedAtMs: milliseconds('last_update_time'),
      },
    ];
  });
}
