/** The shop's way to PostgreSQL: a small pool, every statement prepared once and counted. */
import pg from 'pg';
import type { PostgresAddress } from '../postgres/server.ts';

/** A statement that PostgreSQL parses and plans once per connection. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

export type Query = <Row>(statement: Statement, values?: readonly unknown[]) => Promise<Row[]>;

export interface Database {
  readonly query: Query;
  /**
   * Runs `work` in one transaction on one connection: commits when it returns, rolls back when it throws.
   * @throws what `work` throws; `DatabaseBusy` when no connection came free in time.
   */
  transaction<T>(work: (query: Query) => Promise<T>): Promise<T>;
  load(): DatabaseLoad;
  close(): Promise<void>;
}

export interface DatabaseLoad {
  /** Every statement this process sent, BEGIN and COMMIT included. */
  readonly queries: number;
  readonly connections: number;
  readonly busyConnections: number;
  readonly waitingForConnection: number;
}

export class DatabaseBusy extends Error {
  override name = 'DatabaseBusy';
}

const waitForConnectionMs = 3_000;
const statementTimeoutMs = 5_000;
const bigintOid = 20;

// Ids and sums stay far below 2 ** 53, so a bigint may arrive as a number.
const typeParsers: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === bigintOid ? Number : pg.types.getTypeParser(oid, format as 'text'),
};

export function openDatabase(address: PostgresAddress, poolSize = 10): Database {
  const pool = new pg.Pool({
    ...address,
    max: poolSize,
    connectionTimeoutMillis: waitForConnectionMs,
    statement_timeout: statementTimeoutMs,
    idleTimeoutMillis: 60_000,
    types: typeParsers,
    application_name: 'shop',
  });
  // An idle connection that breaks leaves the pool by itself; without a listener it would end the process.
  pool.on('error', () => {});
  let queries = 0;

  function queryOn(client: pg.ClientBase): Query {
    return async <Row>(statement: Statement, values: readonly unknown[] = []) => {
      queries += 1;
      const result = await client.query({ ...statement, values: [...values] });
      return result.rows as Row[];
    };
  }

  async function withClient<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await pool.connect().catch((error: Error) => {
      const timedOut = error.message.startsWith('timeout exceeded');
      throw timedOut
        ? new DatabaseBusy('No database connection came free in time.', { cause: error })
        : error;
    });
    // A checked-out connection that breaks is thrown away; the statement under way fails by itself.
    let broken = false;
    const onError = (): void => {
      broken = true;
    };
    client.on('error', onError);
    try {
      return await work(client);
    } finally {
      client.off('error', onError);
      client.release(broken);
    }
  }

  return {
    query: <Row>(statement: Statement, values: readonly unknown[] = []) =>
      withClient((client) => queryOn(client)<Row>(statement, values)),
    transaction: (work) =>
      withClient(async (client) => {
        const query = queryOn(client);
        await query(begin);
        try {
          const result = await work(query);
          await query(commit);
          return result;
        } catch (error) {
          await query(rollback).catch(() => {});
          throw error;
        }
      }),
    load: () => ({
      queries,
      connections: pool.totalCount,
      busyConnections: pool.totalCount - pool.idleCount,
      waitingForConnection: pool.waitingCount,
    }),
    close: () => pool.end(),
  };
}

const begin: Statement = { name: 'begin', text: 'BEGIN' };
const commit: Statement = { name: 'commit', text: 'COMMIT' };
const rollback: Statement = { name: 'rollback', text: 'ROLLBACK' };
