/** The tables of log events as kysely types, and the file that they are in where one service keeps its own state. */
import type { Generated, Kysely } from 'kysely';
import { connectDataFile } from '../database/data-file.ts';

export interface LogTables {
  log_group: { name: string; created_at: number; retention_days: number | null };
  log_stream: {
    group_name: string;
    name: string;
    created_at: number;
    first_at: number | null;
    last_at: number | null;
    ingested_at: number | null;
    stored_bytes: number;
    /** JSON of `LogPosition`: how far what is delivered to it has been read. */
    position: string | null;
  };
  log_event: {
    id: Generated<number>;
    group_name: string;
    stream_name: string;
    at: number;
    ingested_at: number;
    message: string;
  };
}

export type LogDatabase = Kysely<LogTables>;

const words = {
  sqlite: { whole: 'integer', numbered: 'integer primary key autoincrement', text: 'text', end: ' strict' },
  postgres: {
    whole: 'bigint',
    numbered: 'bigint generated always as identity primary key',
    text: 'text collate "C"',
    end: '',
  },
};

/** One statement each, run in order at every start. */
export function createLogTables(database: 'sqlite' | 'postgres'): readonly string[] {
  const { whole, numbered, text, end } = words[database];
  return [
    `create table if not exists log_group (
     name ${text} primary key, created_at ${whole} not null, retention_days ${whole})${end}`,
    `create table if not exists log_stream (
     group_name ${text} not null, name ${text} not null, created_at ${whole} not null, first_at ${whole},
     last_at ${whole}, ingested_at ${whole}, stored_bytes ${whole} not null, position ${text},
     primary key (group_name, name))${end}`,
    `create table if not exists log_event (
     id ${numbered}, group_name ${text} not null, stream_name ${text} not null, at ${whole} not null,
     ingested_at ${whole} not null, message ${text} not null)${end}`,
    `create index if not exists log_event_of_group on log_event (group_name, at, id)`,
    `create index if not exists log_event_of_stream on log_event (group_name, stream_name, at, id)`,
  ];
}

/** A file of its own beside the state. */
export function connectLogFile(file: string): LogDatabase {
  return connectDataFile<LogTables>(file, createLogTables('sqlite'));
}
