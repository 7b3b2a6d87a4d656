/**
 * PostgreSQL's logical replication as a source of changes: pgoutput over `pg`, in the order of commits, with
 * exact acknowledgement. The slot decides who consumes: a second consumer stands by until the first is gone.
 *
 * Positions are the ends of commit records. Between transactions the server's keepalives say how far it has
 * looked, so an idle or unrelated log doesn't hold anything back; within one they say nothing.
 *
 * Needs wal_level=logical, a role with REPLICATION, a publication of the watched tables (made when
 * `createPublication` is set and the role owns them), and for each watched table a replica identity with the
 * columns that the watches read.
 */
import pg from 'pg';
import { FeedConfigError } from '../errors.ts';
import { parseLsn } from '../position.ts';
import { checkTables, ensurePublication, requireLogical } from './postgres-setup.ts';
import { ReplicationStream } from './postgres-stream.ts';
import { quoteIdentifier } from './quote-sql.ts';
import { Reconnecting } from './reconnecting.ts';
import { extendXid, isVisibleIn, parseSnapshot, type Snapshot } from './snapshot.ts';
import type { ChangeSink, ChangeSource, Horizon, Resumption, SourceTable } from './source.ts';

export { setupProblems } from './postgres-setup.ts';

/** As `pg.Client` takes it. Must reach the primary directly: a pooler can't carry replication. */
export interface PostgresConnection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  readonly database: string;
  readonly ssl?: boolean | { readonly [option: string]: unknown };
}

export interface PostgresFeedOptions {
  readonly connection: PostgresConnection;
  /** Of this cache alone. Made when it is missing. */
  readonly slot: string;
  readonly publication: string;
  /** Make the publication, or add the missing tables to it. Default false. */
  readonly createPublication?: boolean;
}

const standbyRetryMs = 250;

/** The password never appears in messages or logs. */
export function postgresFeed(options: PostgresFeedOptions): ChangeSource {
  if (!/^[a-z0-9_]{1,63}$/.test(options.slot)) {
    throw new FeedConfigError('`slot` takes 1 to 63 lowercase letters, digits and underscores.');
  }
  return new PostgresSource(options);
}

class PostgresSource implements ChangeSource {
  readonly name = 'postgres';
  readonly #o: PostgresFeedOptions;
  #tables: readonly SourceTable[] = [];
  #sink: ChangeSink | undefined;
  #asking: Promise<pg.Client> | undefined;
  #stream: ReplicationStream | undefined;
  #recentXid = 0n;
  #acknowledged = 0n;
  readonly #running: Reconnecting;

  constructor(options: PostgresFeedOptions) {
    this.#o = options;
    this.#running = new Reconnecting((onStreaming, onStandby) => this.#streamOnce(onStreaming, onStandby));
  }

  start(tables: readonly SourceTable[], sink: ChangeSink): Promise<void> {
    this.#tables = tables;
    this.#sink = sink;
    return this.#running.start((state, cause) => sink.state(state, cause));
  }

  async horizon(): Promise<Horizon> {
    const [row] = await this.#ask<{ l: string; s: string }>(
      'SELECT pg_current_wal_flush_lsn()::text AS l, pg_current_snapshot()::text AS s',
    );
    const snapshot: Snapshot = parseSnapshot(row!.s);
    this.#recentXid = snapshot.xmax;
    return {
      position: parseLsn(row!.l),
      isVisible: (transaction) => isVisibleIn(snapshot, transaction),
      isPast: (transaction) => snapshot.xmin >= transaction,
    };
  }

  async barrier(): Promise<bigint> {
    const [row] = await this.#ask<{ x: string }>('SELECT pg_current_xact_id()::text AS x');
    return BigInt(row!.x);
  }

  requestProgress(): void {
    this.#stream?.sendStatus(this.#acknowledged, true);
  }

  acknowledge(position: bigint): void {
    if (position > this.#acknowledged) this.#acknowledged = position;
  }

  hold(held: boolean): void {
    this.#stream?.hold(held);
  }

  async stop(): Promise<void> {
    this.#running.stop();
    this.#stream?.sendStatus(this.#acknowledged, false);
    this.#stream?.close();
    await this.#running.ended;
    const asking = await this.#asking?.catch(() => undefined);
    await asking?.end().catch(() => {});
    this.#sink?.state('stopped');
  }

  /** One connection, from its making to its end. Rejects with what ended it. */
  async #streamOnce(onStreaming: () => void, onStandby: (cause?: Error) => void): Promise<void> {
    const { publication, createPublication, connection } = this.#o;
    const client = await this.#client();
    await requireLogical(client);
    await checkTables(client, this.#tables);
    await ensurePublication(client, {
      publication,
      tables: this.#tables,
      create: createPublication === true,
    });
    const stream = new ReplicationStream({
      connection,
      tables: this.#tables,
      sink: this.#sink!,
      fullXid: (xid32) => extendXid(xid32, this.#recentXid),
      acknowledged: () => this.#acknowledged,
      onUnidentified: () => void this.#recheck(stream),
    });
    this.#stream = stream;
    try {
      await stream.connect();
      const from = await this.#openSlot(stream, client);
      // Numbers of 32 bits are completed from a recent one.
      await this.horizon();
      this.#acknowledged = from.position;
      await stream.start(this.#o, () => {
        if (this.#running.stopped) return stream.close();
        this.#sink!.resumed(from);
        this.#sink!.state('streaming');
        onStreaming();
      });
    } catch (error) {
      if (!isActiveElsewhere(error)) throw error;
      onStandby(error as Error);
      await new Promise((resolve) => setTimeout(resolve, standbyRetryMs));
    } finally {
      stream.close();
      this.#stream = undefined;
    }
  }

  /** Ends a stream whose tables don't have any more what the watches need; the cause of `connecting` says so until it is mended. */
  async #recheck(stream: ReplicationStream): Promise<void> {
    try {
      await checkTables(await this.#client(), this.#tables);
    } catch (error) {
      if (error instanceof FeedConfigError) stream.fail(error);
    }
  }

  /** Finds the slot, or makes it; one that lost its log is made anew. */
  async #openSlot(stream: ReplicationStream, client: pg.Client): Promise<Resumption> {
    const { slot } = this.#o;
    const { systemId, timeline } = await stream.identify();
    const history = `postgres ${systemId} ${timeline} ${slot}`;
    const { rows } = await client.query<{
      c: string | null;
      w: string | null;
      p: string | null;
      db: string;
      a: boolean;
    }>(
      `SELECT confirmed_flush_lsn::text AS c, wal_status AS w, plugin AS p, database AS db, active AS a
         FROM pg_replication_slots WHERE slot_name = $1`,
      [slot],
    );
    const [found] = rows;
    if (found !== undefined && (found.p !== 'pgoutput' || found.db !== this.#o.connection.database)) {
      throw new FeedConfigError(
        `Slot ${slot} exists, but for ${found.p ?? 'physical replication'} on ${found.db}; name another one.`,
      );
    }
    if (found !== undefined && found.w !== 'lost' && found.c !== null) {
      return { position: parseLsn(found.c), fresh: false, history };
    }
    if (found !== undefined) await stream.query(`DROP_REPLICATION_SLOT ${quoteIdentifier(slot)}`);
    const [made] = await stream.query(
      `CREATE_REPLICATION_SLOT ${quoteIdentifier(slot)} LOGICAL pgoutput NOEXPORT_SNAPSHOT`,
    );
    return { position: parseLsn(made!.consistent_point!), fresh: true, history };
  }

  async #ask<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> {
    const client = await this.#client();
    return (await client.query<Row>(sql)).rows;
  }

  /** The ordinary connection; made again after it broke. */
  #client(): Promise<pg.Client> {
    this.#asking ??= (async () => {
      const client = new pg.Client({
        ...this.#o.connection,
        application_name: 'larder invalidator',
        connectionTimeoutMillis: 2_000,
      });
      const forget = (): void => {
        this.#asking = undefined;
      };
      client.on('error', forget);
      client.on('end', forget);
      try {
        await client.connect();
        // Row visibility is asked in one statement each; nothing here may wait long.
        await client.query("SET statement_timeout = '5s'");
        return client;
      } catch (error) {
        forget();
        throw error;
      }
    })();
    return this.#asking;
  }
}

/** Another process holds the slot. */
function isActiveElsewhere(error: unknown): boolean {
  return (error as { code?: string } | undefined)?.code === '55006';
}
