/** Is the outbox there, may it be read, and do all watched tables fill it? Each refusal says what to run. */
import type pg from 'pg';
import { FeedConfigError } from '../errors.ts';
import type { OutboxNames } from './postgres-outbox-sql.ts';
import type { SourceTable } from './source.ts';
import { triggerNames } from './trigger-sql.ts';

interface TriggerRow {
  readonly name: string;
  readonly enabled: string;
  readonly args: string;
}

export async function checkOutbox(
  client: pg.Client,
  names: OutboxNames,
  tables: readonly SourceTable[],
): Promise<void> {
  const wanted = tables.map(({ table, columns }) => ({ table, columns }));
  const run = `Run, as the tables' owner, the SQL of outboxSql({ tables: ${JSON.stringify(wanted)}, … }).`;
  const { rows } = await client.query<{ there: boolean; allowed: boolean | null }>(
    `SELECT to_regclass($1) IS NOT NULL AND to_regclass($2) IS NOT NULL AS there,
            has_table_privilege(to_regclass($1), 'SELECT') AND has_table_privilege(to_regclass($1), 'DELETE') AND
            has_table_privilege(to_regclass($2), 'SELECT') AND has_table_privilege(to_regclass($2), 'UPDATE') AS allowed`,
    [names.outbox, names.reader],
  );
  if (rows[0]?.there !== true) throw new FeedConfigError(`The outbox ${names.outbox} doesn't exist. ${run}`);
  if (rows[0].allowed !== true) {
    throw new FeedConfigError(
      `This role may not read the outbox. Run: GRANT SELECT, DELETE ON ${names.outbox} TO …; ` +
        `GRANT SELECT, UPDATE ON ${names.reader} TO …; or name it as \`reader\` of outboxSql.`,
    );
  }
  for (const { table, columns } of tables) {
    const found = await triggersOf(client, table);
    for (const name of triggerNames(names.triggerPrefix)) {
      const trigger = found.find((each) => each.name === name);
      const missing =
        trigger === undefined ? columns : columns.filter((column) => !argsOf(trigger).includes(column));
      if (trigger !== undefined && trigger.enabled === 'A' && missing.length === 0) continue;
      const lack =
        trigger === undefined
          ? `lacks the trigger ${name}`
          : trigger.enabled === 'A'
            ? `notes its changes without ${missing.join(', ')}, which a watch reads`
            : `has the trigger ${name} switched off`;
      throw new FeedConfigError(`${table} ${lack}. ${run}`);
    }
  }
}

async function triggersOf(client: pg.Client, table: string): Promise<readonly TriggerRow[]> {
  const { rows } = await client.query<TriggerRow>(
    `SELECT t.tgname AS name, t.tgenabled AS enabled, encode(t.tgargs, 'hex') AS args
       FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2 AND NOT t.tgisinternal`,
    table.split('.'),
  );
  return rows;
}

/** Arguments are stored each with a zero byte behind it. */
function argsOf({ args }: TriggerRow): readonly string[] {
  return Buffer.from(args, 'hex').toString('utf8').split('\0').slice(0, -1);
}
