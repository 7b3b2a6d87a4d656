/** (pure) The SQL of an outbox: its tables, the triggers that fill it, what its reader may do. */
import { CacheConfigError } from '../errors.ts';
import { quoteIdentifier } from './quote-sql.ts';
import { type TriggerTable, triggerSql } from './trigger-sql.ts';

export interface OutboxSqlOptions {
  readonly tables: readonly TriggerTable[];
  /** One outbox per cache: what is read is removed. 1 to 30 lowercase letters, digits, `_`. Default `outbox`. */
  readonly name?: string;
  /** Role of the process that reads it, if it isn't the owner: gets what it needs and no more. */
  readonly reader?: string;
  /**
   * Wake the reader at once. Default false: PostgreSQL lets notifying commits through one by one, and the reader
   * looks several times within the bound anyway.
   */
  readonly notify?: boolean;
  /** A statement that changes more rows is noted as a change of the whole table. Default 1,000. */
  readonly maxRowsPerStatement?: number;
}

export interface OutboxNames {
  readonly outbox: string;
  readonly reader: string;
  readonly channel: string;
  readonly triggerPrefix: string;
}

export function outboxNames(name: string): OutboxNames {
  if (!/^[a-z0-9_]{1,30}$/.test(name)) {
    throw new CacheConfigError("An outbox's `name` takes 1 to 30 lowercase letters, digits and underscores.");
  }
  return {
    outbox: `larder_feed.${quoteIdentifier(name)}`,
    reader: `larder_feed.${quoteIdentifier(`${name}_reader`)}`,
    channel: `larder_${name}`,
    triggerPrefix: `larder_${name}`,
  };
}

/** To be run as the owner of the tables, in one transaction; it can be run again. Throws CacheConfigError. */
export function outboxSql(options: OutboxSqlOptions): string {
  const { tables, name = 'outbox', reader, notify = false, maxRowsPerStatement = 1_000 } = options;
  const names = outboxNames(name);
  if (!Number.isSafeInteger(maxRowsPerStatement) || maxRowsPerStatement < 1 || maxRowsPerStatement > 10_000) {
    throw new CacheConfigError('`maxRowsPerStatement` must be a whole number from 1 to 10,000.');
  }
  const grants =
    reader === undefined
      ? ''
      : `GRANT USAGE ON SCHEMA larder_feed TO ${quoteIdentifier(reader)};
GRANT SELECT, DELETE ON ${names.outbox} TO ${quoteIdentifier(reader)};
GRANT SELECT, UPDATE ON ${names.reader} TO ${quoteIdentifier(reader)};
`;
  const triggers = triggerSql({
    tables,
    prefix: names.triggerPrefix,
    maxRows: maxRowsPerStatement,
    keep: `INSERT INTO ${names.outbox} (table_name, old_keys, new_keys, everything)
    VALUES (TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME,
            CASE WHEN everything THEN NULL ELSE old_keys END, CASE WHEN everything THEN NULL ELSE new_keys END, everything);${
              notify ? `\n  PERFORM pg_notify('${names.channel}', '');` : ''
            }`,
  });
  return `CREATE SCHEMA IF NOT EXISTS larder_feed;
CREATE TABLE IF NOT EXISTS ${names.outbox} (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  table_name text NOT NULL,
  old_keys jsonb,
  new_keys jsonb,
  everything boolean NOT NULL,
  noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
CREATE TABLE IF NOT EXISTS ${names.reader} (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  history text NOT NULL DEFAULT gen_random_uuid()::text,
  reserved bigint NOT NULL DEFAULT 0,
  acknowledged bigint NOT NULL DEFAULT 0
);
INSERT INTO ${names.reader} DEFAULT VALUES ON CONFLICT DO NOTHING;
${grants}${triggers}`;
}
