/**
 * The database side of a history: a table that is read through a cache, and a second one that numbers the states
 * of each key. Every change takes its numbers first, in the order of the keys, so the row locks of the second
 * table put the states of a key in the order of their commits.
 */
import type { PostgresAddress } from '@larder/storefront/postgres/server';
import pg from 'pg';
import { nowMs } from '../monotonic.ts';
import type { WriteRecord } from './history.ts';

/** Who changes which keys: so that a change that is held open blocks nobody else. */
export const keyPlan = {
  /** Updates, deletions, insertions. */
  ordinary: { from: 1, to: 48 },
  /** Pairs: a row lives under one of two keys, and moves. The lower one is odd. */
  moving: { from: 49, to: 64 },
  /** Changes that are held open; only the saboteur makes them. */
  slow: { from: 65, to: 72 },
} as const;
export const keyCount = 72;

export interface Item {
  readonly id: number;
  readonly version: number;
}

/** What became of the keys, before it is known whether it was committed. */
export interface Change {
  readonly key: number;
  readonly state: number;
  readonly absent: boolean;
}

type Work = (client: pg.ClientBase) => Promise<Change[]>;

export class ItemTable {
  readonly pool: pg.Pool;
  readonly #table: string;

  constructor(address: PostgresAddress, table: string, maxConnections: number) {
    this.pool = new pg.Pool({ ...address, max: maxConnections, connectionTimeoutMillis: 5_000 });
    // Connections are killed here on purpose; whoever uses one gets the error.
    this.pool.on('error', () => {});
    this.#table = table;
  }

  /** Returns the first state of each key. Moving keys begin at the odd one. */
  async create(): Promise<WriteRecord[]> {
    const table = this.#table;
    await this.pool.query(`CREATE TABLE ${table} (id int PRIMARY KEY, version int NOT NULL)`);
    await this.pool.query(`CREATE TABLE ${table}_state (id int PRIMARY KEY, version int NOT NULL)`);
    const sentMs = nowMs();
    await this.pool.query(`INSERT INTO ${table}_state SELECT i, 1 FROM generate_series(1, ${keyCount}) i`);
    await this.pool.query(`INSERT INTO ${table} SELECT id, version FROM ${table}_state ${home}`);
    const position = await this.position(this.pool);
    const returnedMs = nowMs();
    return Array.from({ length: keyCount }, (_, index) => index + 1).map((key) => ({
      ...{ key, state: 1, absent: isAwayFromHome(key) },
      ...{ sentMs, returnedMs, position },
    }));
  }

  async load(id: number): Promise<Item | null> {
    const { rows } = await this.pool.query<Item>(`SELECT id, version FROM ${this.#table} WHERE id = $1`, [
      id,
    ]);
    return rows[0] ?? null;
  }

  /** The newest state of every key that a new reader sees, and whether the row is there. */
  async truth(): Promise<{ readonly id: number; readonly state: number; readonly version: number }[]> {
    const { rows } = await this.pool.query(
      `SELECT s.id, s.version AS state, COALESCE(i.version, 0) AS version
         FROM ${this.#table}_state s LEFT JOIN ${this.#table} i USING (id) ORDER BY s.id`,
    );
    return rows;
  }

  /** At or after the end of every commit that has returned. */
  async position(client: Pick<pg.ClientBase, 'query'>): Promise<bigint> {
    const { rows } = await client.query("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn AS at");
    return BigInt(rows[0].at);
  }

  /**
   * One transaction. Resolves with what it wrote, also when the answer to its commit was lost; rejects when it
   * certainly failed. @param beforeCommit runs while everything is written and nothing committed
   */
  async transact(work: Work, beforeCommit?: () => Promise<void>): Promise<WriteRecord[]> {
    return this.#onConnection(async (client) => {
      await client.query('BEGIN');
      const changes = await work(client);
      await beforeCommit?.();
      return this.#commit(client, changes, 'COMMIT');
    });
  }

  /** The same in two phases, with `between` after the preparation. */
  async transactInTwoPhases(name: string, work: Work, between: () => Promise<void>): Promise<WriteRecord[]> {
    return this.#onConnection(async (client) => {
      await client.query('BEGIN');
      const changes = await work(client);
      await client.query(`PREPARE TRANSACTION '${name}'`);
      await between();
      return this.#commit(client, changes, `COMMIT PREPARED '${name}'`);
    });
  }

  /** Present ones get a new version; what is absent stays so, in a new state. */
  update =
    (keys: readonly number[]): Work =>
    async (client) => {
      const changes: Change[] = [];
      for (const { key, state } of await this.#number(client, keys)) {
        const { rowCount } = await client.query(`UPDATE ${this.#table} SET version = $2 WHERE id = $1`, [
          key,
          state,
        ]);
        changes.push({ key, state, absent: rowCount === 0 });
      }
      return changes;
    };

  /** Deletes the row, or puts it back. */
  toggle =
    (key: number): Work =>
    async (client) => {
      const [numbered] = await this.#number(client, [key]);
      const { state } = numbered!;
      const { rowCount } = await client.query(`DELETE FROM ${this.#table} WHERE id = $1`, [key]);
      if (rowCount === 0) await client.query(`INSERT INTO ${this.#table} VALUES ($1, $2)`, [key, state]);
      return [{ key, state, absent: rowCount !== 0 }];
    };

  /** The row of a pair changes its primary key. @param lower the odd key of the pair */
  move =
    (lower: number): Work =>
    async (client) => {
      const [low, high] = await this.#number(client, [lower, lower + 1]);
      const sql = `UPDATE ${this.#table} SET id = $2, version = $3 WHERE id = $1`;
      const up = await client.query(sql, [low!.key, high!.key, high!.state]);
      if (up.rowCount === 0) await client.query(sql, [high!.key, low!.key, low!.state]);
      return [
        { ...low!, absent: up.rowCount !== 0 },
        { ...high!, absent: up.rowCount === 0 },
      ];
    };

  /** Writes nonsense and takes it back before the real change. */
  updateAfterRollback =
    (key: number): Work =>
    async (client) => {
      await client.query('SAVEPOINT nonsense');
      await client.query(`UPDATE ${this.#table} SET version = -1 WHERE id = $1`, [key]);
      await client.query('ROLLBACK TO SAVEPOINT nonsense');
      return this.update([key])(client);
    };

  /** Empties the table and fills it again: every key is in a new state, moving ones at home. */
  truncate: Work = async (client) => {
    await client.query(`LOCK TABLE ${this.#table}_state IN SHARE ROW EXCLUSIVE MODE`);
    const { rows } = await client.query(
      `UPDATE ${this.#table}_state SET version = version + 1 RETURNING id, version`,
    );
    await client.query(`TRUNCATE ${this.#table}`);
    await client.query(`INSERT INTO ${this.#table} SELECT id, version FROM ${this.#table}_state ${home}`);
    return rows.map(({ id, version }) => ({ key: id, state: version, absent: isAwayFromHome(id) }));
  };

  async #number(
    client: pg.ClientBase,
    keys: readonly number[],
  ): Promise<{ readonly key: number; readonly state: number }[]> {
    const numbered = [];
    for (const key of [...keys].sort((left, right) => left - right)) {
      const { rows } = await client.query(
        `UPDATE ${this.#table}_state SET version = version + 1 WHERE id = $1 RETURNING version`,
        [key],
      );
      numbered.push({ key, state: rows[0].version as number });
    }
    return numbered;
  }

  async #commit(client: pg.ClientBase, changes: Change[], sql: string): Promise<WriteRecord[]> {
    const sentMs = nowMs();
    try {
      await client.query(sql);
    } catch (error) {
      // The server's own words say that it failed, except when it was told to end while it committed.
      const { code } = error as { code?: string };
      if (code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !code.startsWith('57')) throw error;
      return changes.map((change) => ({
        ...change,
        sentMs,
        returnedMs: Number.NaN,
        position: undefined,
      }));
    }
    const returnedMs = nowMs();
    const position = await this.position(client).catch(() => undefined);
    return changes.map((change) => ({ ...change, sentMs, returnedMs, position }));
  }

  /** A connection whose transaction failed is not used again. */
  async #onConnection<T>(run: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    const ignore = (): void => {};
    client.on('error', ignore);
    let broken = true;
    try {
      const result = await run(client);
      broken = false;
      return result;
    } finally {
      // One that is thrown away may still hear that it was killed.
      if (!broken) client.off('error', ignore);
      client.release(broken);
    }
  }
}

const { from, to } = keyPlan.moving;
const home = `WHERE id NOT BETWEEN ${from} AND ${to} OR id % 2 = 1`;

function isAwayFromHome(key: number): boolean {
  return key >= from && key <= to && key % 2 === 0;
}
