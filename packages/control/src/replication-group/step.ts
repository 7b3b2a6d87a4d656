/** The steps a plan is made of. Each is complete in itself and safe to repeat. */
import type { SlotRange } from '@larder/engine/slots';
import type { DeathEvidence, Incarnation } from '@larder/fleet/host';
import type { Route } from '@larder/fleet/router/route-table';
import type { SettingStep } from '../node/node-settings.ts';

/** Why the previous primary can take no more writes. Without one there is no promotion. */
export type Fence =
  | { readonly kind: 'dead'; readonly incarnation: Incarnation; readonly how: DeathEvidence }
  | { readonly kind: 'absent' }
  /** The host it is on lost its lease, and lets its primaries take no more writes. */
  | { readonly kind: 'lease-expired'; readonly host: string }
  /** The engines voted: the cluster's own epochs keep the old primary out. */
  | { readonly kind: 'engine-vote' };

/** Shards that come and go, and slots that go with their keys from one's primary, `member`, to another's, `target`. */
export type ShardStep =
  /** Gives the member the functions that another one has. */
  | { readonly kind: 'copy-functions'; readonly member: string; readonly from: string }
  /** A shard that joined a cluster is whole, and may be given slots. */
  | { readonly kind: 'form-shards'; readonly nodeGroups: readonly string[] }
  /** The engines move them by themselves, all at once for clients. */
  | { readonly kind: 'migrate-slots'; readonly member: string; readonly moves: readonly SlotMove[] }
  | { readonly kind: 'cancel-slot-migrations'; readonly member: string }
  /** Key by key, for a bounded time; what is then still open is seen by the next pass. */
  | {
      readonly kind: 'move-slots';
      readonly member: string;
      readonly target: string;
      readonly sourceClusterNodeId: string;
      readonly targetClusterNodeId: string;
      readonly slots: readonly number[];
    }
  /** What an importing node has of slots that stay with their owner, `target`, goes back there. */
  | {
      readonly kind: 'give-back-slots';
      readonly member: string;
      readonly target: string;
      readonly slots: readonly number[];
    }
  /** Marks slots as no longer under way at the member. */
  | { readonly kind: 'close-slots'; readonly member: string; readonly slots: readonly number[] }
  /** A shard that is to go has no slots any more: its nodes are not started again. */
  | { readonly kind: 'dismiss-shard'; readonly nodeGroup: string }
  /** Its last member is gone. */
  | { readonly kind: 'forget-shard'; readonly nodeGroup: string }
  /** Every slot is where it was asked to be. */
  | { readonly kind: 'end-resharding' };

/** The group's primary, `member`, and a node of somebody else's whose data it takes on. */
export type MigrationStep =
  /** Without the login of our own replicas, which the source would refuse. */
  | { readonly kind: 'follow-source'; readonly member: string }
  /** Puts the login back and takes writes. */
  | { readonly kind: 'leave-source'; readonly member: string }
  /** Writes down whether everything of the source is there and more is coming. */
  | { readonly kind: 'note-source'; readonly inSync: boolean }
  | { readonly kind: 'end-migration' };

export interface SlotMove {
  readonly target: string;
  readonly targetClusterNodeId: string;
  readonly slots: readonly SlotRange[];
}

export type Step = { readonly because: string } & (
  | {
      readonly kind: 'start-node';
      readonly member: string;
      /** Set: it starts as this member's replica. */
      readonly replicaOf?: string;
      readonly endpointAddresses: readonly string[];
      /** Set: it begins with this snapshot's data. */
      readonly snapshot?: string;
    }
  /** Has a replica save its data, to follow on from there when it was stopped and started. */
  | { readonly kind: 'keep-data'; readonly member: string }
  /** Ends the process; the next pass starts it anew, as whatever it is then to be. */
  | { readonly kind: 'stop-node'; readonly member: string }
  /** Ends a process that hangs, so that it is proven to take no more writes. */
  | { readonly kind: 'kill-node'; readonly member: string; readonly incarnation: Incarnation }
  /** Lets a primary take writes again that refuses them by a fence. */
  | { readonly kind: 'lift-fence'; readonly member: string }
  /** Writes down a new primary and a new epoch. Comes before the command that makes it so. */
  | {
      readonly kind: 'decide-primary';
      readonly nodeGroup: string;
      readonly member: string;
      readonly previous: string;
      readonly fence: Fence;
    }
  | { readonly kind: 'promote'; readonly member: string }
  /** Writes down which history a new primary began, before anybody takes it over: later successors are judged by it. */
  | { readonly kind: 'note-history'; readonly nodeGroup: string; readonly member: string }
  | {
      readonly kind: 'replicate';
      readonly member: string;
      readonly primary: string;
      readonly port: number;
      /** It was a primary, and its clients are to look for the new one. */
      readonly endsClients?: true;
    }
  /** Has the primary ask its replicas how far they are. */
  | { readonly kind: 'ask-replicas'; readonly member: string }
  /** Hands the role of a primary that lives to a replica in sync, without losing a write. */
  | {
      readonly kind: 'switch-over';
      readonly nodeGroup: string;
      readonly member: string;
      readonly previous: string;
    }
  /** The handover that was asked for is done, or can't be. */
  | { readonly kind: 'end-handover'; readonly nodeGroup: string }
  /** Makes the node listen on just these addresses and cuts off clients of those it gives up. */
  | {
      readonly kind: 'listen';
      readonly member: string;
      readonly addresses: readonly string[];
      readonly dropped: readonly string[];
    }
  /** What the router serves for the group, complete. */
  | { readonly kind: 'route'; readonly routes: readonly Route[] }
  | { readonly kind: 'set-config-epoch'; readonly member: string; readonly configEpoch: number }
  | { readonly kind: 'add-slots'; readonly member: string; readonly slots: readonly SlotRange[] }
  | { readonly kind: 'meet'; readonly member: string; readonly peer: string }
  | { readonly kind: 'join-shard'; readonly member: string; readonly primaryClusterNodeId: string }
  | ShardStep
  | MigrationStep
  /** The member forgets a peer that is gone for good. */
  | { readonly kind: 'forget-peer'; readonly member: string; readonly clusterNodeId: string }
  /** Asks the engines for a vote, or takes over where too few are left to vote and the fence is proven. */
  | {
      readonly kind: 'elect';
      readonly nodeGroup: string;
      readonly member: string;
      readonly how: 'vote' | 'takeover';
      readonly fence: Fence;
    }
  | (SettingStep & { readonly member: string })
  | { readonly kind: 'remove-node'; readonly member: string }
  | { readonly kind: 'forget-member'; readonly member: string }
  /** The group's primary becomes a cache cluster of its own, and the group ends. */
  | { readonly kind: 'retain-primary'; readonly member: string }
  | { readonly kind: 'forget-group' }
);

export interface Plan {
  readonly steps: readonly Step[];
  /** Everything asked for is seen to be true. */
  readonly converged: boolean;
  /** What the next pass waits for when there is no step to take; for people. */
  readonly waitingFor: readonly string[];
  /** Node group id -> replication id, where it differs from what is written down. */
  readonly lineages: ReadonlyMap<string, string>;
  /** Node group id -> slots its primary was seen with, where they differ from what is written down. */
  readonly slots?: ReadonlyMap<string, readonly SlotRange[]>;
}
