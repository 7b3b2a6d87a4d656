/** The state's tables as kysely types. Timestamps are milliseconds since 1970. */
import type { Generated } from 'kysely';

export interface Tables {
  replication_group: {
    id: string;
    /** JSON of `ReplicationGroupIntent`: written by requests only. */
    intent: string;
    status: string;
    /** Rises with every decision about the group; orders carry it. */
    epoch: number;
    configuration_address: string | null;
    created_at: number;
  };
  node_group: {
    group_id: string;
    id: string;
    /** The member decided to be the primary. Written before the command that makes it so. */
    primary_member: string;
    /** JSON of `SlotRange[]`. */
    slots: string;
    primary_address: string | null;
    reader_address: string | null;
    /** 1 once every member was in sync. */
    formed: number;
    /** Replication id that the primary was last seen with. */
    lineage: string | null;
  };
  member: {
    id: string;
    group_id: string;
    node_group_id: string;
    ordinal: number;
    zone: string;
    address: string;
    status: string;
  };
  cache_cluster: {
    id: string;
    intent: string;
    status: string;
    epoch: number;
    created_at: number;
  };
  cache_node: {
    cluster_id: string;
    id: string;
    zone: string;
    address: string;
    status: string;
  };
  /** The last epoch of a deleted group: one made anew under its name goes on from there. */
  retired_epoch: { group_id: string; epoch: number };
  /** Every address in use, with what it is for; the primary key keeps two from getting one. */
  address: { address: string; owner: string };
  event: {
    id: Generated<number>;
    at: number;
    source_type: string;
    source_id: string;
    message: string;
  };
}

/** One statement each, run in order at every start. */
export const createTables: readonly string[] = [
  `create table if not exists replication_group (
     id text primary key, intent text not null, status text not null, epoch integer not null,
     configuration_address text, created_at integer not null) strict`,
  `create table if not exists node_group (
     group_id text not null references replication_group(id) on delete cascade, id text not null,
     primary_member text not null, slots text not null, primary_address text, reader_address text,
     formed integer not null, lineage text, primary key (group_id, id)) strict`,
  `create table if not exists member (
     id text primary key, group_id text not null references replication_group(id) on delete cascade,
     node_group_id text not null, ordinal integer not null, zone text not null, address text not null,
     status text not null) strict`,
  `create index if not exists member_of_group on member (group_id, node_group_id, ordinal)`,
  `create table if not exists cache_cluster (
     id text primary key, intent text not null, status text not null, epoch integer not null,
     created_at integer not null) strict`,
  `create table if not exists cache_node (
     cluster_id text not null references cache_cluster(id) on delete cascade, id text not null,
     zone text not null, address text not null, status text not null, primary key (cluster_id, id)) strict`,
  `create table if not exists retired_epoch (group_id text primary key, epoch integer not null) strict`,
  `create table if not exists address (address text primary key, owner text not null) strict`,
  `create table if not exists event (
     id integer primary key autoincrement, at integer not null, source_type text not null,
     source_id text not null, message text not null) strict`,
  `create index if not exists event_by_time on event (at)`,
];
