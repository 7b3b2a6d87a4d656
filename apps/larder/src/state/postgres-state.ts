/**
 * The state in PostgreSQL, for several controllers of which one leads.
 *
 * Who leads holds a lock that the database gives up when its connection ends, and does everything over that one
 * connection. So a controller that died is followed at once, and one that lost its connection can't write any more,
 * whatever it believes. One that stopped without its connection ending is noticed by its heartbeat, told by the
 * database's clock: who wants to follow has the database end that connection first.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '@larder/control/database/connect';
import { beginTerm } from '@larder/control/database/leadership';
import { createTables, type Tables } from '@larder/control/database/tables';
import { createLogTables, type LogTables } from '@larder/control/log-store/tables';
import { createMetricTables, type MetricTables } from '@larder/control/metric/tables';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { Client, type ClientConfig, types } from 'pg';
import type { HeldState } from './held-state.ts';

export interface PostgresStateOptions {
  /** `postgres://…`. */
  readonly url: string;
  /** Ends the wait for the lead. */
  readonly stopping: AbortSignal;
  /** Told, for people, while it is waited for. */
  readonly onNotice: (text: string) => void;
}

/** Of all locks in the database, ours: "larder" in letters. */
const lockKey = 0x6c61_7264;
const heartbeatMs = 500;
/** How long a leader may be silent before it is taken for dead. */
const silentMs = 2_000;
const tryEveryMs = 200;
const reconnectMs = 500;
const statementLimitMs = 1_500;
const connectLimitMs = 2_000;
const bigint = 20;

/** Waits until this process leads. Undefined when `stopping` came first. @throws when the URL makes no sense. */
export async function holdPostgres(options: PostgresStateOptions): Promise<HeldState | undefined> {
  const { stopping, onNotice } = options;
  let told = '';
  const tell = (text: string) => {
    if (text !== told) onNotice(text);
    told = text;
  };
  while (!stopping.aborted) {
    try {
      const held = await lead(options, tell);
      if (held !== undefined || stopping.aborted) return held;
    } catch (error) {
      tell(`The database can't be used: ${(error as Error).message}. It is tried again.`);
    }
    await sleep(reconnectMs);
  }
  return undefined;
}

async function lead(
  { url, stopping }: PostgresStateOptions,
  tell: (text: string) => void,
): Promise<HeldState | undefined> {
  const client = await connectClient(url);
  let lose: (why: string) => void = () => {};
  const lost = new Promise<string>((resolve) => {
    lose = resolve;
  });
  client.on('error', (error) => lose(`the connection to the database broke: ${error.message}`));
  client.on('end', () => lose('the connection to the database ended'));
  try {
    await client.query(
      'create table if not exists leader (id bigint primary key, backend integer not null, renewed_at timestamptz not null)',
    );
    while (!(await lock(client))) {
      if (stopping.aborted) {
        await client.end();
        return undefined;
      }
      tell('Another controller leads; this one stands by.');
      await endSilentLeader(client);
      await sleep(tryEveryMs);
    }
    await beat(client);
    for (const statement of [
      ...createTables('postgres'),
      ...createMetricTables('postgres'),
      ...createLogTables('postgres'),
    ]) {
      await client.query(statement);
    }
    const pool = onlyConnection(client);
    const database: Database = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
    const metricDatabase = new Kysely<MetricTables>({ dialect: new PostgresDialect({ pool }) });
    const term = await beginTerm(database);
    const stop = keepBeating(database, lose);
    return {
      database,
      metricDatabase,
      logDatabase: new Kysely<LogTables>({ dialect: new PostgresDialect({ pool }) }),
      term,
      lost,
      async release() {
        stop();
        await client.end().catch(() => {});
      },
    };
  } catch (error) {
    await client.end().catch(() => {});
    throw error;
  }
}

async function connectClient(url: string): Promise<Client> {
  const config: ClientConfig = {
    connectionString: url,
    application_name: 'larder controller',
    connectionTimeoutMillis: connectLimitMs,
    query_timeout: statementLimitMs,
    keepAlive: true,
    types: {
      // Whole numbers of ours are far below 2^53; JSON is read where it is used.
      getTypeParser: ((oid: number, format?: 'text' | 'binary') => {
        if (oid === bigint) return Number;
        if (oid === types.builtins.JSON) return String;
        return types.getTypeParser(oid, format as 'text');
      }) as NonNullable<ClientConfig['types']>['getTypeParser'],
    },
  };
  const client = new Client(config);
  await client.connect();
  // A machine that lost its power says nothing: the database finds out in some seconds.
  await client.query(
    'set tcp_keepalives_idle = 1; set tcp_keepalives_interval = 1; set tcp_keepalives_count = 2; set tcp_user_timeout = 3000',
  );
  return client;
}

async function lock(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>('select pg_try_advisory_lock($1) as locked', [
    lockKey,
  ]);
  return rows[0]?.locked === true;
}

async function beat(client: Client): Promise<void> {
  await client.query(
    `insert into leader values (1, pg_backend_pid(), now())
     on conflict (id) do update set backend = excluded.backend, renewed_at = excluded.renewed_at`,
  );
}

async function endSilentLeader(client: Client): Promise<void> {
  await client.query(
    `select pg_terminate_backend(backend) from leader
     where clock_timestamp() - renewed_at > make_interval(secs => $1)
       and backend in (select pid from pg_locks where locktype = 'advisory' and objid = $2 and granted)`,
    [silentMs / 1_000, lockKey],
  );
}

function keepBeating(database: Database, lose: (why: string) => void): () => void {
  let beating = false;
  const timer = setInterval(() => {
    if (beating) return;
    beating = true;
    sql`update leader set renewed_at = now() where id = 1`
      .execute(database)
      .catch((error: Error) => lose(`the lead could not be renewed: ${error.message}`))
      .finally(() => {
        beating = false;
      });
  }, heartbeatMs);
  return () => clearInterval(timer);
}

/** One after the other on the one connection; never on another, which would not have the lock. */
function onlyConnection(client: Client) {
  let line: Promise<void> = Promise.resolve();
  return {
    async connect() {
      let leave = () => {};
      const before = line;
      line = new Promise<void>((resolve) => {
        leave = resolve;
      });
      await before;
      return {
        query: ((...args: Parameters<Client['query']>) => client.query(...args)) as never,
        release: leave,
      };
    },
    end: () => client.end(),
  };
}
