/**
 * An outbox table as a source of changes, for places without logical replication: triggers note which rows changed
 * (postgres-outbox-sql.ts), in the transaction that changed them; this polls the notes, and removes them when they
 * are applied. Works over any ordinary session (not through a pooler of transactions: the lock is the session's).
 *
 * Why it skips nothing. There is no cursor. Ids are given out in another order than transactions commit in, and
 * commit times in another order than commits become visible; a reader that remembers "up to here" steps over the
 * row that appears behind it. Here each poll is one statement, so one snapshot, and takes every note it sees that
 * isn't taken already; a note stays until it is acknowledged, however late its transaction commits. A long
 * transaction holds up only its own notes.
 *
 * Positions. They count notes and polls, in the order in which they are handed over. What a poll sees is visible to
 * everybody who reads the primary later, so a commit here is visible when it is handed over, and a token W covers
 * all notes up to W. What a loader saw of a transaction whose note comes later doesn't matter: the note, when it
 * comes, has a position beyond the loader's token, so it removes or refuses what was loaded.
 *
 * Numbers never fall, or a stamp could lie below a token that was given before: they are reserved in the database,
 * a million at a time, before they are used; a reader that takes over begins above all that was reserved. One
 * reader at a time by an advisory lock of the session that polls: without the lock it can't poll. The history's
 * name holds an identity made with the outbox, and the timeline, so a restored backup or a failover that may have
 * lost what was reserved voids everything.
 *
 * The bound. A heartbeat asks for the horizon: the position after a poll whose statement began after the question,
 * and which took everything. Whatever had committed before is visible in that snapshot, so handed over up to it.
 *
 * Not seen: what fires no trigger, which are changes by a session that disabled them as a superuser, and statements
 * on a partition when only its parent has triggers.
 */
import pg from 'pg';
import { laterOf } from '../position.ts';
import type { PostgresConnection } from './postgres.ts';
import { checkOutbox } from './postgres-outbox-check.ts';
import { type OutboxNames, outboxNames } from './postgres-outbox-sql.ts';
import { Reconnecting } from './reconnecting.ts';
import type { ChangeSink, ChangeSource, Horizon, SourceTable } from './source.ts';
import { strictRow } from './strict-row.ts';

export { type OutboxSqlOptions, outboxSql } from './postgres-outbox-sql.ts';
export type { TriggerTable } from './trigger-sql.ts';

export interface PostgresOutboxOptions {
  /** To the primary. */
  readonly connection: PostgresConnection;
  /** As given to `outboxSql`. Default `outbox`. */
  readonly name?: string;
  /** Between polls; heartbeats and notifications bring more. Default 50. */
  readonly pollMs?: number;
}

interface Note {
  readonly id: string;
  readonly table: string;
  readonly old_keys: readonly Readonly<Record<string, unknown>>[] | null;
  readonly new_keys: readonly Readonly<Record<string, unknown>>[] | null;
  readonly everything: boolean;
  readonly at_ms: number;
}

interface Waiter {
  resolve(position: bigint): void;
  reject(error: Error): void;
}

const notesPerPoll = 1_000;
const reservedAtOnce = 1n << 20n;
const standbyRetryMs = 250;
const lockClass = 0x6c617264;

/** Throws CacheConfigError. The password never appears in messages or logs. */
export function postgresOutbox(options: PostgresOutboxOptions): ChangeSource {
  return new OutboxSource(options);
}

class OutboxSource implements ChangeSource {
  readonly name = 'postgres-outbox';
  readonly #o: PostgresOutboxOptions;
  readonly #names: OutboxNames;
  readonly #pollMs: number;
  readonly #running: Reconnecting;
  #tables: readonly SourceTable[] = [];
  #sink: ChangeSink | undefined;
  #polling = false;
  #position = 0n;
  #reservedThrough = 0n;
  #acknowledged = 0n;
  /** Handed over, in order; until their positions are acknowledged. */
  #taken: { readonly id: string; readonly position: bigint }[] = [];
  #held = false;
  #waiting: Waiter[] = [];
  #wake: () => void = () => {};
  #due = false;

  constructor(options: PostgresOutboxOptions) {
    this.#o = options;
    this.#names = outboxNames(options.name ?? 'outbox');
    this.#pollMs = options.pollMs ?? 50;
    this.#running = new Reconnecting((onStreaming, onStandby) => this.#pollOnce(onStreaming, onStandby));
  }

  start(tables: readonly SourceTable[], sink: ChangeSink): Promise<void> {
    this.#tables = tables;
    this.#sink = sink;
    return this.#running.start((state, cause) => sink.state(state, cause));
  }

  async horizon(): Promise<Horizon> {
    if (!this.#polling) throw new Error('The outbox is not being polled.');
    const position = await new Promise<bigint>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.requestProgress();
    });
    return { position, isVisible: () => true, isPast: () => true };
  }

  /** A note is handed over when it is visible: there is nothing to wait for. */
  async barrier(): Promise<bigint> {
    return 0n;
  }

  requestProgress(): void {
    this.#due = true;
    this.#wake();
  }

  acknowledge(position: bigint): void {
    this.#acknowledged = laterOf(position, this.#acknowledged);
  }

  hold(held: boolean): void {
    this.#held = held;
    if (!held) this.requestProgress();
  }

  async stop(): Promise<void> {
    this.#running.stop();
    this.requestProgress();
    await this.#running.ended;
    this.#sink?.state('stopped');
  }

  /** One session, from its making to its end. Rejects with what ended it. */
  async #pollOnce(onStreaming: () => void, onStandby: (cause?: Error) => void): Promise<void> {
    const client = new pg.Client({
      ...this.#o.connection,
      application_name: 'larder invalidator',
      connectionTimeoutMillis: 2_000,
      keepAlive: true,
    });
    let broken: Error | undefined;
    const onEnd = (error?: Error): void => {
      broken ??= error ?? new Error('The connection of the outbox ended.');
      this.#wake();
    };
    client.on('error', onEnd);
    client.on('end', () => onEnd());
    client.on('notification', () => this.requestProgress());
    try {
      await client.connect();
      // Numbers must survive a crash of this server; a standby that takes over begins another history.
      await client.query("SET statement_timeout = '5s'; SET synchronous_commit = 'local'");
      await checkOutbox(client, this.#names, this.#tables);
      await client.query(`LISTEN ${this.#names.channel}`);
      while (!(await this.#lock(client))) {
        onStandby();
        this.#due = false;
        await this.#pause(standbyRetryMs);
        if (broken !== undefined) throw broken;
        if (this.#running.stopped) return;
      }
      await this.#resume(client);
      this.#polling = true;
      this.#sink!.state('streaming');
      onStreaming();
      while (!this.#running.stopped) {
        const complete = await this.#poll(client);
        if (broken !== undefined) throw broken;
        if (complete || this.#held) await this.#pause(this.#pollMs);
      }
      await this.#removeAcknowledged(client);
    } finally {
      this.#polling = false;
      for (const { reject } of this.#waiting.splice(0)) reject(broken ?? new Error('Polling ended.'));
      await client.end().catch(() => {});
    }
  }

  async #lock(client: pg.Client): Promise<boolean> {
    const { rows } = await client.query<{ locked: boolean }>(
      'SELECT pg_try_advisory_lock($1, to_regclass($2)::oid::int) AS locked',
      [lockClass, this.#names.outbox],
    );
    return rows[0]!.locked;
  }

  async #resume(client: pg.Client): Promise<void> {
    const { rows } = await client.query<{ acknowledged: string; history: string }>(
      `SELECT acknowledged::text, history || ' ' || left(pg_walfile_name(pg_current_wal_lsn()), 8) AS history
         FROM ${this.#names.reader}`,
    );
    const [found] = rows;
    if (found === undefined)
      throw new Error(`${this.#names.reader} is empty; run the SQL of outboxSql again.`);
    await this.#reserve(client);
    this.#taken = [];
    this.#held = false;
    this.#acknowledged = BigInt(found.acknowledged);
    this.#sink!.resumed({
      position: this.#acknowledged,
      // Every note since is still there; that the engine knows this outbox shows in the history it remembers.
      fresh: false,
      history: `outbox ${found.history}`,
    });
  }

  async #reserve(client: pg.Client): Promise<void> {
    const { rows } = await client.query<{ reserved: string }>(
      `UPDATE ${this.#names.reader} SET reserved = reserved + $1 RETURNING reserved::text`,
      [String(reservedAtOnce)],
    );
    this.#reservedThrough = BigInt(rows[0]!.reserved);
    this.#position = this.#reservedThrough - reservedAtOnce;
  }

  /** @returns whether everything that was visible is handed over. */
  async #poll(client: pg.Client): Promise<boolean> {
    this.#due = false;
    if (this.#position + BigInt(notesPerPoll) + 1n > this.#reservedThrough) await this.#reserve(client);
    if (this.#held) {
      await this.#removeAcknowledged(client);
      return false;
    }
    // Only who asked before the statement began is answered by it.
    const asked = this.#waiting;
    this.#waiting = [];
    let notes: readonly Note[];
    try {
      notes = await this.#take(client);
    } catch (error) {
      for (const { reject } of asked) reject(error as Error);
      throw error;
    }
    for (const note of notes) this.#handOver(note);
    if (notes.length === notesPerPoll) {
      this.#waiting.unshift(...asked);
      return false;
    }
    this.#position += 1n;
    this.#sink!.progress(this.#position);
    for (const { resolve } of asked) resolve(this.#position);
    return true;
  }

  /** Removes what is acknowledged and reads what isn't taken, in one snapshot. */
  async #take(client: pg.Client): Promise<readonly Note[]> {
    const removed = this.#acknowledgedIds();
    const { rows } = await client.query<Note>({
      name: 'larder_outbox_take',
      text: `WITH removed AS (DELETE FROM ${this.#names.outbox} WHERE id = ANY ($1::bigint[])),
                  noted AS (UPDATE ${this.#names.reader} SET acknowledged = $2
                             WHERE cardinality($1::bigint[]) > 0 AND acknowledged < $2)
             SELECT id::text, table_name AS table, old_keys, new_keys, everything,
                    (extract(epoch FROM noted_at) * 1000)::float8 AS at_ms
               FROM ${this.#names.outbox} WHERE id <> ALL ($3::bigint[]) ORDER BY id LIMIT ${notesPerPoll}`,
      values: [removed, String(this.#acknowledged), this.#taken.map(({ id }) => id)],
    });
    this.#taken.splice(0, removed.length);
    return rows;
  }

  async #removeAcknowledged(client: pg.Client): Promise<void> {
    const removed = this.#acknowledgedIds();
    if (removed.length === 0) return;
    await client.query(
      `WITH removed AS (DELETE FROM ${this.#names.outbox} WHERE id = ANY ($1::bigint[]))
       UPDATE ${this.#names.reader} SET acknowledged = $2 WHERE acknowledged < $2`,
      [removed, String(this.#acknowledged)],
    );
    this.#taken.splice(0, removed.length);
  }

  #acknowledgedIds(): readonly string[] {
    const rest = this.#taken.findIndex(({ position }) => position > this.#acknowledged);
    return this.#taken.slice(0, rest < 0 ? this.#taken.length : rest).map(({ id }) => id);
  }

  #handOver({ id, table, old_keys, new_keys, everything, at_ms }: Note): void {
    const sink = this.#sink!;
    this.#position += 1n;
    this.#taken.push({ id, position: this.#position });
    sink.begin(0n);
    if (everything) sink.change({ table, before: undefined, after: undefined, identified: false });
    for (const keys of old_keys ?? []) {
      sink.change({ table, before: strictRow(table, keys), after: undefined, identified: true });
    }
    for (const keys of new_keys ?? []) {
      sink.change({ table, before: undefined, after: strictRow(table, keys), identified: true });
    }
    sink.commit(this.#position, at_ms);
  }

  /** Until the time is over, or somebody asks. */
  #pause(ms: number): Promise<void> {
    if (this.#due) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#wake = () => {};
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#wake = done;
    });
  }
}
