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
    /** JSON of `PendingChange`. */
    pending: string | null;
    /** 1: being deleted, but for its primary. */
    retain_primary: Generated<number>;
    /** `digestUsers` of its user groups' users, once every node was seen with them. */
    users_digest: string | null;
    /** JSON of `Migration`. */
    migration: string | null;
    /** The snapshot that its deletion waits for. */
    final_snapshot: string | null;
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
    /** JSON of `Handover`. */
    handover: string | null;
    /** JSON of `Resharding`. */
    resharding: string | null;
  };
  member: {
    id: string;
    group_id: string;
    node_group_id: string;
    ordinal: number;
    zone: string;
    /** The name of the host it stands on. */
    host: string;
    address: string;
    status: string;
    generation: number;
    parameter_status: string;
    created_at: number;
    /** 1: its process was started anew after it served, and it is not in sync again yet. */
    recovering: Generated<number>;
  };
  cache_cluster: {
    id: string;
    intent: string;
    status: string;
    epoch: number;
    created_at: number;
    pending: string | null;
    /** Memcached: where clients learn of the nodes. */
    configuration_address: string | null;
    /** Rises with every change of the nodes. */
    config_version: number;
    final_snapshot: string | null;
  };
  cache_node: {
    cluster_id: string;
    id: string;
    zone: string;
    /** The name of the host it stands on. */
    host: string;
    address: string;
    status: string;
    generation: number;
    parameter_status: string;
    created_at: number;
  };
  /** The last epoch of a deleted group: one made anew under its name goes on from there. */
  retired_epoch: { group_id: string; epoch: number };
  /** Users of engines, as customers make them. */
  cache_user: {
    id: string;
    user_name: string;
    engine: string;
    access_string: string;
    /** JSON of the access string's rules. */
    rules: string;
    authentication: string;
    /** JSON of SHA-256 hashes in hexadecimal. */
    password_hashes: string;
    minimum_engine_version: string;
    /** JSON of the user groups it was taken out of when its deletion began. */
    deleted_from: string | null;
    created_at: number;
  };
  user_group: {
    id: string;
    engine: string;
    /** JSON of the user ids that the last change added, and of those it removed. */
    last_added: string;
    last_removed: string;
    created_at: number;
  };
  user_group_member: { group_id: string; user_id: string };
  /** Service updates that were asked for. */
  update_action: {
    update_name: string;
    resource: string;
    resource_id: string;
    started_at: number;
    stopped: number;
  };
  /** Every address in use, with what it is for; the primary key keeps two from getting one. */
  address: {
    address: string;
    owner: string;
    /** Where it is; empty for an endpoint's, which goes from host to host. */
    host: string;
  };
  /** Machines that joined the fleet. */
  host: {
    name: string;
    zone: string;
    url: string;
    addresses: string;
    joined_at: number;
    leaving: number;
  };
  /** One row. */
  leadership: { id: number; term: number };
  /** What several controllers must have alike, by its SHA-256. */
  likeness: { name: string; digest: string };
  /** Tokens with which a host may join, by their SHA-256. */
  join_token: { digest: string; expires_at: number };
  parameter_group: {
    name: string;
    family: string;
    description: string;
    /** JSON of `ParameterGroup['settings']`. */
    settings: string;
  };
  subnet_group: {
    name: string;
    description: string;
    /** JSON list of subnet ids. */
    subnets: string;
  };
  snapshot: {
    name: string;
    status: string;
    /** `manual`, `automated` or `seed`. */
    kind: string;
    /** What it was taken of, which may be gone. */
    origin_resource: string;
    origin_id: string;
    origin_member: string | null;
    final: number;
    created_at: number;
    progress_at: number;
    attempts: number;
    trouble: string | null;
    copied_from: string | null;
    /** JSON of `SnapshotSettings`. */
    settings: string;
    /** JSON of `SnapshotShard[]`. */
    shards: string;
  };
  /** What may be scaled by itself. */
  scalable_target: {
    group_id: string;
    /** `NodeGroups` or `Replicas`. */
    dimension: string;
    min_capacity: number;
    max_capacity: number;
    /** JSON of `ScalableTarget['suspended']`. */
    suspended: string;
    region: string;
    created_at: number;
    bounds_due: number;
    last_out_at: number | null;
    last_in_at: number | null;
    last_failure_at: number | null;
  };
  scaling_policy: {
    group_id: string;
    dimension: string;
    name: string;
    id: string;
    /** JSON of `TrackingConfiguration`, and of the `TrackedMetric` that it means. */
    configuration: string;
    metric: string;
    created_at: number;
  };
  scheduled_action: {
    group_id: string;
    dimension: string;
    name: string;
    id: string;
    schedule: string;
    timezone: string | null;
    start_at: number | null;
    end_at: number | null;
    min_capacity: number | null;
    max_capacity: number | null;
    created_at: number;
    next_at: number | null;
  };
  /** Stays when its target or its group is gone. */
  scaling_activity: {
    number: Generated<number>;
    id: string;
    group_id: string;
    dimension: string;
    description: string;
    cause: string;
    started_at: number;
    ended_at: number | null;
    status: string;
    status_message: string | null;
    /** JSON of `ScalingActivity['change']` and `['notScaled']`. */
    change: string | null;
    not_scaled: string | null;
  };
  snapshot_export: {
    id: string;
    bucket: string;
    name: string;
    source: string;
    status: string;
    attempts: number;
    retry_at: number;
    /** JSON of `SnapshotExport['shards']`. */
    shards: string;
  };
  /** The last of each source. */
  restore_drill: {
    origin_resource: string;
    origin_id: string;
    snapshot: string;
    ended_at: number;
    took_ms: number;
    outcome: string;
    keys_recorded: number;
    keys_found: number;
    because: string | null;
  };
  /** Of metrics, and of other alarms. */
  alarm: {
    name: string;
    /** `metric` or `composite`. */
    kind: string;
    /** JSON of the request that put it, without its tags. */
    configuration: string;
    state: string;
    state_reason: string;
    state_reason_data: string | null;
    state_updated_at: number;
    state_transitioned_at: number;
    configured_at: number;
    /** Rises with every change but that of an evaluation. */
    revision: number;
    /** The group or cluster that it was made for and goes with, as `replication-group/ID`. */
    owner: string | null;
  };
  /** Stays when its alarm is gone. */
  alarm_history: {
    number: Generated<number>;
    alarm: string;
    kind: string;
    at: number;
    type: string;
    summary: string;
    data: string;
  };
  /** What an alarm owes to topics. Written with the transition that it tells. */
  alarm_notification: {
    number: Generated<number>;
    id: string;
    alarm: string;
    at: number;
    /** JSON of the ARNs it has not been handed to. */
    topics: string;
    subject: string;
    message: string;
    attempts: number;
    retry_at: number;
    /** Held back while another alarm suppresses it. */
    held: number;
  };
  /** Groups and clusters that are to have the recommended alarms. */
  alarm_recommendation: {
    resource: string;
    id: string;
    topic: string | null;
    /** JSON of the names that were made: what a person deletes is not made again. */
    made: string;
  };
  dashboard: { name: string; body: string; modified_at: number };
  /** By the resource's type and name as in its ARN. */
  tag: { resource_type: string; resource_name: string; key: string; value: string };
  topic: { arn: string; name: string; display_name: string; created_at: number };
  topic_subscription: {
    arn: string;
    topic_arn: string;
    protocol: string;
    endpoint: string;
    secret_generation: number;
    created_at: number;
  };
  /** Kept for a while after its last delivery: published again, it is known. */
  topic_message: {
    id: string;
    topic_arn: string;
    subject: string | null;
    body: string;
    created_at: number;
  };
  /** What is not delivered yet, and what was given up. */
  topic_delivery: {
    topic_arn: string;
    message_id: string;
    subscription_arn: string;
    /** `pending` or `dead`. */
    status: string;
    attempts: number;
    at: number;
    failure: string | null;
  };
  event: {
    id: Generated<number>;
    at: number;
    source_type: string;
    source_id: string;
    message: string;
  };
}

/** How each of the two writes what the tables need. SQL is otherwise the same for both. */
interface Words {
  /** Of 64 bits. */
  readonly whole: string;
  /** Numbered by the database. */
  readonly numbered: string;
  /** Compared byte by byte. */
  readonly text: string;
  /** Text whose fields `->>` finds. */
  readonly json: string;
  readonly end: string;
}

const words: Record<'sqlite' | 'postgres', Words> = {
  sqlite: {
    whole: 'integer',
    numbered: 'integer primary key autoincrement',
    text: 'text',
    json: 'text',
    end: ' strict',
  },
  postgres: {
    whole: 'bigint',
    numbered: 'bigint generated always as identity primary key',
    text: 'text collate "C"',
    json: 'json',
    end: '',
  },
};

/** One statement each, run in order at every start. */
export function createTables(database: 'sqlite' | 'postgres'): readonly string[] {
  const { whole, numbered, text, json, end } = words[database];
  return [
    `create table if not exists replication_group (
     id ${text} primary key, intent ${json} not null, status ${text} not null, epoch ${whole} not null,
     configuration_address ${text}, created_at ${whole} not null, pending ${text},
     retain_primary ${whole} not null default 0, users_digest ${text}, final_snapshot ${text}, migration ${text})${end}`,
    `create table if not exists node_group (
     group_id ${text} not null references replication_group(id) on delete cascade, id ${text} not null,
     primary_member ${text} not null, slots ${text} not null, primary_address ${text}, reader_address ${text},
     formed ${whole} not null, lineage ${text}, handover ${text}, resharding ${text}, primary key (group_id, id))${end}`,
    `create table if not exists member (
     id ${text} primary key, group_id ${text} not null references replication_group(id) on delete cascade,
     node_group_id ${text} not null, ordinal ${whole} not null, zone ${text} not null, host ${text} not null, address ${text} not null,
     status ${text} not null, generation ${whole} not null, parameter_status ${text} not null,
     created_at ${whole} not null, recovering ${whole} not null default 0)${end}`,
    `create index if not exists member_of_group on member (group_id, node_group_id, ordinal)`,
    `create table if not exists cache_cluster (
     id ${text} primary key, intent ${json} not null, status ${text} not null, epoch ${whole} not null,
     created_at ${whole} not null, pending ${text}, configuration_address ${text},
     config_version ${whole} not null, final_snapshot ${text})${end}`,
    `create table if not exists cache_node (
     cluster_id ${text} not null references cache_cluster(id) on delete cascade, id ${text} not null,
     zone ${text} not null, host ${text} not null, address ${text} not null, status ${text} not null, generation ${whole} not null,
     parameter_status ${text} not null, created_at ${whole} not null, primary key (cluster_id, id))${end}`,
    `create table if not exists retired_epoch (group_id ${text} primary key, epoch ${whole} not null)${end}`,
    `create table if not exists cache_user (
     id ${text} primary key, user_name ${text} not null, engine ${text} not null, access_string ${text} not null,
     rules ${text} not null, authentication ${text} not null, password_hashes ${text} not null,
     minimum_engine_version ${text} not null, deleted_from ${text}, created_at ${whole} not null)${end}`,
    // As on ElastiCache it is there from the start, and nobody can change it.
    `insert into cache_user values ('default', 'default', 'redis', 'on ~* +@all', '["on","~*","+@all"]',
     'no-password', '[]', '6.0', null, 0) on conflict do nothing`,
    `create table if not exists user_group (
     id ${text} primary key, engine ${text} not null, last_added ${text} not null, last_removed ${text} not null,
     created_at ${whole} not null)${end}`,
    `create table if not exists user_group_member (
     group_id ${text} not null references user_group(id) on delete cascade,
     user_id ${text} not null references cache_user(id), primary key (group_id, user_id))${end}`,
    `create table if not exists update_action (
     update_name ${text} not null, resource ${text} not null, resource_id ${text} not null, started_at ${whole} not null,
     stopped ${whole} not null, primary key (update_name, resource, resource_id))${end}`,
    `create table if not exists address (
     address ${text} primary key, owner ${text} not null, host ${text} not null)${end}`,
    `create table if not exists host (
     name ${text} primary key, zone ${text} not null, url ${text} not null, addresses ${text} not null,
     joined_at ${whole} not null, leaving ${whole} not null)${end}`,
    `create table if not exists leadership (id ${whole} primary key, term ${whole} not null)${end}`,
    // What several controllers must have alike.
    `create table if not exists likeness (name ${text} primary key, digest ${text} not null)${end}`,
    `create table if not exists join_token (digest ${text} primary key, expires_at ${whole} not null)${end}`,
    `create table if not exists parameter_group (
     name ${text} primary key, family ${text} not null, description ${text} not null, settings ${text} not null)${end}`,
    `create table if not exists subnet_group (
     name ${text} primary key, description ${text} not null, subnets ${text} not null)${end}`,
    `create table if not exists snapshot (
     name ${text} primary key, status ${text} not null, kind ${text} not null, origin_resource ${text} not null,
     origin_id ${text} not null, origin_member ${text}, final ${whole} not null, created_at ${whole} not null,
     progress_at ${whole} not null, attempts ${whole} not null, trouble ${text}, copied_from ${text},
     settings ${text} not null, shards ${text} not null)${end}`,
    `create index if not exists snapshot_of_origin on snapshot (origin_resource, origin_id)`,
    `create table if not exists scalable_target (
     group_id ${text} not null, dimension ${text} not null, min_capacity ${whole} not null,
     max_capacity ${whole} not null, suspended ${text} not null, region ${text} not null, created_at ${whole} not null,
     bounds_due ${whole} not null, last_out_at ${whole}, last_in_at ${whole}, last_failure_at ${whole},
     primary key (group_id, dimension))${end}`,
    `create table if not exists scaling_policy (
     group_id ${text} not null, dimension ${text} not null, name ${text} not null, id ${text} not null,
     configuration ${text} not null, metric ${text} not null, created_at ${whole} not null,
     primary key (group_id, dimension, name))${end}`,
    `create table if not exists scheduled_action (
     group_id ${text} not null, dimension ${text} not null, name ${text} not null, id ${text} not null,
     schedule ${text} not null, timezone ${text}, start_at ${whole}, end_at ${whole}, min_capacity ${whole},
     max_capacity ${whole}, created_at ${whole} not null, next_at ${whole},
     primary key (group_id, dimension, name))${end}`,
    `create table if not exists scaling_activity (
     number ${numbered}, id ${text} not null, group_id ${text} not null, dimension ${text} not null,
     description ${text} not null, cause ${text} not null, started_at ${whole} not null, ended_at ${whole},
     status ${text} not null, status_message ${text}, change ${text}, not_scaled ${text})${end}`,
    `create index if not exists scaling_activity_of_group on scaling_activity (group_id, number)`,
    `create table if not exists snapshot_export (
     id ${text} primary key, bucket ${text} not null, name ${text} not null, source ${text} not null,
     status ${text} not null, attempts ${whole} not null, retry_at ${whole} not null, shards ${text} not null)${end}`,
    `create table if not exists restore_drill (
     origin_resource ${text} not null, origin_id ${text} not null, snapshot ${text} not null, ended_at ${whole} not null,
     took_ms ${whole} not null, outcome ${text} not null, keys_recorded ${whole} not null, keys_found ${whole} not null,
     because ${text}, primary key (origin_resource, origin_id))${end}`,
    `create table if not exists alarm (
     name ${text} primary key, kind ${text} not null, configuration ${text} not null, state ${text} not null,
     state_reason ${text} not null, state_reason_data ${text}, state_updated_at ${whole} not null,
     state_transitioned_at ${whole} not null, configured_at ${whole} not null, revision ${whole} not null,
     owner ${text})${end}`,
    `create table if not exists alarm_history (
     number ${numbered}, alarm ${text} not null, kind ${text} not null, at ${whole} not null, type ${text} not null,
     summary ${text} not null, data ${text} not null)${end}`,
    `create index if not exists alarm_history_of_alarm on alarm_history (alarm, number)`,
    `create index if not exists alarm_history_by_time on alarm_history (at)`,
    `create table if not exists alarm_notification (
     number ${numbered}, id ${text} not null, alarm ${text} not null, at ${whole} not null, topics ${text} not null,
     subject ${text} not null, message ${text} not null, attempts ${whole} not null, retry_at ${whole} not null,
     held ${whole} not null)${end}`,
    `create table if not exists alarm_recommendation (
     resource ${text} not null, id ${text} not null, topic ${text}, made ${text} not null,
     primary key (resource, id))${end}`,
    `create table if not exists dashboard (
     name ${text} primary key, body ${text} not null, modified_at ${whole} not null)${end}`,
    `create table if not exists tag (
     resource_type ${text} not null, resource_name ${text} not null, key ${text} not null, value ${text} not null,
     primary key (resource_type, resource_name, key))${end}`,
    `create table if not exists topic (
     arn ${text} primary key, name ${text} not null, display_name ${text} not null, created_at ${whole} not null)${end}`,
    `create table if not exists topic_subscription (
     arn ${text} primary key, topic_arn ${text} not null references topic(arn) on delete cascade,
     protocol ${text} not null, endpoint ${text} not null, secret_generation ${whole} not null,
     created_at ${whole} not null)${end}`,
    `create index if not exists subscription_of_topic on topic_subscription (topic_arn)`,
    `create table if not exists topic_message (
     id ${text} not null, topic_arn ${text} not null references topic(arn) on delete cascade, subject ${text},
     body ${text} not null, created_at ${whole} not null, primary key (topic_arn, id))${end}`,
    `create table if not exists topic_delivery (
     topic_arn ${text} not null, message_id ${text} not null,
     subscription_arn ${text} not null references topic_subscription(arn) on delete cascade, status ${text} not null,
     attempts ${whole} not null, at ${whole} not null, failure ${text}, primary key (message_id, subscription_arn),
     foreign key (topic_arn, message_id) references topic_message(topic_arn, id) on delete cascade)${end}`,
    `create index if not exists delivery_due on topic_delivery (status, at)`,
    `create table if not exists event (
     id ${numbered}, at ${whole} not null, source_type ${text} not null,
     source_id ${text} not null, message ${text} not null)${end}`,
    `create index if not exists event_by_time on event (at)`,
  ];
}
