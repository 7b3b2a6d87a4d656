/** The tables of metrics' data as kysely types, and the file that they are in where one service keeps its own state. */
import type { ColumnType, Kysely } from 'kysely';
import { connectDataFile } from '../database/data-file.ts';

export interface MetricTables {
  metric_series: {
    id: number;
    /** JSON of `Metric`. */
    metric: string;
    unit: string;
    /** `Grain`. */
    grain: string;
    /** 1: beyond a minute values are not kept. */
    without_values: number;
  };
  /** How far a series' data are in its blocks. */
  metric_mark: {
    series: number;
    /** Number of the journal's last row that is. */
    flushed: number;
    /** Of its latest datum. */
    last_at: number;
  };
  /** What was recorded and is not in blocks yet. */
  metric_journal: {
    number: number;
    /** 1: of data by the minute, which wait longer. */
    slow: number;
    data: Bytes;
  };
  metric_block: {
    /** Seconds of a period. */
    tier: number;
    /** Milliseconds since 1970. */
    start: number;
    series: number;
    data: Bytes;
  };
  /** What a node had counted at its last whole minute, so that a restart of the service misses nothing. */
  node_count: {
    node_id: string;
    /** JSON of `NodeCount`. */
    count: string;
  };
}

/** Both take a `Uint8Array`; SQLite's gives it back as an `ArrayBuffer`. */
type Bytes = ColumnType<Uint8Array | ArrayBuffer, Uint8Array, Uint8Array>;

export type MetricDatabase = Kysely<MetricTables>;

const words = {
  sqlite: { whole: 'integer', bytes: 'blob', end: ' strict', byKey: ' strict, without rowid' },
  postgres: { whole: 'bigint', bytes: 'bytea', end: '', byKey: '' },
};

/** One statement each, run in order at every start. */
export function createMetricTables(database: 'sqlite' | 'postgres'): readonly string[] {
  const { whole, bytes, end, byKey } = words[database];
  return [
    `create table if not exists metric_series (
     id ${whole} primary key, metric text not null, unit text not null, grain text not null,
     without_values ${whole} not null)${end}`,
    `create table if not exists metric_mark (
     series ${whole} primary key, flushed ${whole} not null, last_at ${whole} not null)${end}`,
    `create table if not exists metric_journal (
     number ${whole} primary key, slow ${whole} not null, data ${bytes} not null)${end}`,
    // In this order what is written and what is dropped at one time lies together.
    `create table if not exists metric_block (
     tier ${whole} not null, start ${whole} not null, series ${whole} not null, data ${bytes} not null,
     primary key (tier, start, series))${byKey}`,
    `create table if not exists node_count (node_id text primary key, count text not null)${end}`,
  ];
}

/** A file of its own beside the state. */
export function connectMetricFile(file: string): MetricDatabase {
  return connectDataFile<MetricTables>(file, createMetricTables('sqlite'));
}
