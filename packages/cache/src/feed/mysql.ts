/**
 * The binary log of MySQL 8 and MariaDB as a source of changes, by row and with GTIDs.
 *
 * Positions are places in the log, (file, offset) in 64 bits. The history they belong to names the server, the
 * GTIDs when the cache began with it, and a number of that beginning: another server, or one whose GTIDs don't
 * hold those any more because its log was reset, is another history, which voids everything.
 *
 * Where it resumes. The server keeps no memory of who reads its log. The engine does: A and W say what is applied
 * to it and was visible. Reading goes on from W of the partition that is furthest behind; what comes twice is
 * harmless. If the file is purged, everything is void and it begins at the end.
 *
 * Visibility. A transaction is in the log, and read here, before the storage engine commits it.
 *   MariaDB: START TRANSACTION WITH CONSISTENT SNAPSHOT makes a snapshot whose place in the log the server tells.
 *     Everything that ends up to there is visible, nothing else is: that answers for visibility and for the horizon.
 *   MySQL: a GTID is in gtid_executed only after the storage engine committed; the end of the log is at or beyond
 *     every commit that was acknowledged. A new stream begins at the start of the current file: the server changes
 *     files only when all that is in the old one is committed (binlog_order_commits=ON).
 *
 * One reader at a time by GET_LOCK: a second one stands by.
 *
 * Not in the log, so not seen: rows that foreign keys cascade to, changes with sql_log_bin=0. A statement in the log
 * that names a watched table (DDL, TRUNCATE, a session that logs by statement), and XA COMMIT, void everything.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { GtidSet } from '@vlasky/zongji';
import mysql, { type Connection } from 'mysql2/promise';
import { CacheConfigError } from '../errors.ts';
import { fileOf, packPlace } from './mysql-position.ts';
import {
  ask,
  describeServer,
  endOfLog,
  logFiles,
  type MysqlServer,
  requireRowLog,
  requireTables,
  snapshotPlace,
} from './mysql-setup.ts';
import { MysqlStream } from './mysql-stream.ts';
import { Reconnecting } from './reconnecting.ts';
import type { ChangeSink, ChangeSource, Horizon, Resumption, SourceTable } from './source.ts';

/** As `mysql2` takes it. To the primary. */
export interface MysqlConnection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  readonly database?: string;
  readonly ssl?: { readonly [option: string]: unknown };
}

export interface MysqlFeedOptions {
  readonly connection: MysqlConnection;
  /** Of this cache alone: whoever holds the lock of this name reads. 1 to 40 letters, digits, `_`, `-`. */
  readonly name: string;
  /** As a replica's; must be unique among all that read the log. Default: random, beyond 2^31. */
  readonly serverId?: number;
}

const standbyRetryMs = 250;
/** ER_MASTER_FATAL_ERROR_READING_BINLOG */
const unreadableLog = 1236;

/** Throws CacheConfigError. The password never appears in messages or logs. */
export function mysqlFeed(options: MysqlFeedOptions): ChangeSource {
  if (!/^[A-Za-z0-9_-]{1,40}$/.test(options.name)) {
    throw new CacheConfigError('`name` takes 1 to 40 letters, digits, "_" and "-".');
  }
  return new MysqlSource(options);
}

class MysqlSource implements ChangeSource {
  readonly name = 'mysql';
  readonly #o: MysqlFeedOptions;
  readonly #serverId: number;
  readonly #running: Reconnecting;
  #tables: readonly SourceTable[] = [];
  #sink: ChangeSink | undefined;
  #server: MysqlServer | undefined;
  #asking: Connection | undefined;
  #stream: MysqlStream | undefined;
  /** MySQL: transactions that aren't known to be committed in the storage engine, by their number. */
  readonly #gtids = new Map<bigint, string>();
  #newest = 0n;
  /** The place that the engine remembers is of no use. */
  #lost = false;
  /** Snapshots and their places must not mix on the one connection. */
  #serial: Promise<unknown> = Promise.resolve();

  constructor(options: MysqlFeedOptions) {
    this.#o = options;
    this.#serverId = options.serverId ?? randomInt(2 ** 31, 2 ** 32 - 1);
    this.#running = new Reconnecting((onStreaming, onStandby) => this.#streamOnce(onStreaming, onStandby));
  }

  start(tables: readonly SourceTable[], sink: ChangeSink): Promise<void> {
    this.#tables = tables;
    this.#sink = sink;
    return this.#running.start((state, cause) => sink.state(state, cause));
  }

  async horizon(): Promise<Horizon> {
    const connection = this.#connected();
    return this.#inTurn(() =>
      this.#server!.isMariadb ? this.#snapshot(connection) : this.#executed(connection),
    );
  }

  async #snapshot(connection: Connection): Promise<Horizon> {
    const position = packPlace(await snapshotPlace(connection));
    return {
      position,
      isVisible: (transaction) => transaction <= position,
      isPast: (transaction) => transaction <= position,
    };
  }

  async #executed(connection: Connection): Promise<Horizon> {
    const position = packPlace(await endOfLog(connection, this.#server!));
    const [row] = await ask(connection, 'SELECT @@global.gtid_executed AS executed');
    const executed = GtidSet.parse(String(row!.executed).replace(/\s/g, ''));
    for (const [transaction, gtid] of this.#gtids)
      if (executed.contains(gtid)) this.#gtids.delete(transaction);
    const open = new Set(this.#gtids.keys());
    const newest = this.#newest;
    return {
      position,
      // What is read only later was not asked about.
      isVisible: (transaction) => transaction <= newest && !open.has(transaction),
      isPast: () => true,
    };
  }

  /** MariaDB: a place that all which is in the log lies before. MySQL: a new stream begins where all is past. */
  async barrier(): Promise<bigint> {
    const connection = this.#connected();
    return this.#inTurn(async () => packPlace(await endOfLog(connection, this.#server!)));
  }

  /** The server sends what it has at once. */
  requestProgress(): void {}

  /** The engine remembers. */
  acknowledge(): void {}

  hold(held: boolean): void {
    this.#stream?.hold(held);
  }

  async stop(): Promise<void> {
    this.#running.stop();
    this.#stream?.fail(new Error('Stopped.'));
    await this.#running.ended;
    this.#sink?.state('stopped');
  }

  /** One connection, from its making to its end. Rejects with what ended it. */
  async #streamOnce(onStreaming: () => void, onStandby: (cause?: Error) => void): Promise<void> {
    const asking = await mysql.createConnection({ ...this.#o.connection, connectTimeout: 2_000 });
    let broken: Error | undefined;
    const onEnd = (error?: Error): void => {
      broken ??= error ?? new Error('The connection ended.');
      this.#stream?.fail(broken);
    };
    asking.on('error', onEnd);
    asking.on('end', () => onEnd());
    try {
      this.#server = await describeServer(asking);
      await requireRowLog(asking, this.#server);
      await requireTables(asking, this.#tables);
      while (!(await this.#lock(asking))) {
        onStandby();
        await new Promise((resolve) => setTimeout(resolve, standbyRetryMs));
        if (broken !== undefined) throw broken;
        if (this.#running.stopped) return;
      }
      const { from, place } = await this.#resumption(asking, this.#server);
      this.#gtids.clear();
      const stream = new MysqlStream({
        connection: this.#o.connection,
        serverId: this.#serverId,
        from: place,
        tables: this.#tables,
        sink: this.#sink!,
        onTransaction: (transaction, gtid) => {
          this.#newest = transaction;
          if (gtid !== undefined && !this.#server!.isMariadb) this.#gtids.set(transaction, gtid);
        },
      });
      this.#stream = stream;
      this.#asking = asking;
      await stream.run(() => {
        if (this.#running.stopped || broken !== undefined)
          return stream.fail(broken ?? new Error('Stopped.'));
        this.#sink!.resumed(from);
        this.#sink!.state('streaming');
        onStreaming();
      });
    } catch (error) {
      // The server can't read its log there: it was cut short by a crash, or is another one under the same names.
      if ((error as { readonly errno?: number }).errno === unreadableLog) this.#lost = true;
      throw error;
    } finally {
      this.#stream?.close();
      this.#stream = undefined;
      this.#asking = undefined;
      asking.destroy();
    }
  }

  async #lock(connection: Connection): Promise<boolean> {
    const [row] = await ask(connection, 'SELECT GET_LOCK(?, 0) AS locked', [`larder.${this.#o.name}`]);
    return Number(row!.locked) === 1;
  }

  /** Goes on where the engine stands, or anew. */
  async #resumption(
    connection: Connection,
    server: MysqlServer,
  ): Promise<{
    readonly from: Resumption;
    readonly place: { readonly file: string; readonly offset: number };
  }> {
    const remembered = await this.#sink!.remembered?.();
    if (remembered !== undefined && !this.#lost) {
      const { history, position } = remembered;
      const place = fileOf(position, await logFiles(connection));
      if (place !== undefined && (await this.#holds(connection, server, history))) {
        return { from: { position, fresh: false, history }, place };
      }
    }
    const end = await endOfLog(connection, server);
    const place = server.isMariadb ? end : { file: end.file, offset: 4 };
    const base = await this.#gtidsLogged(connection, server);
    this.#lost = false;
    const history = `${server.identity} ${randomBytes(6).toString('hex')} ${base}`;
    return { from: { position: packPlace(place), fresh: true, history }, place };
  }

  /** Is it this server's history, and does its log still go back to it? A reset log counts from one again. */
  async #holds(connection: Connection, server: MysqlServer, history: string): Promise<boolean> {
    if (!history.startsWith(`${server.identity} `)) return false;
    const base = history.slice(server.identity.length + 1).split(' ')[1] ?? '';
    const now = await this.#gtidsLogged(connection, server);
    if (!server.isMariadb) {
      const [row] = await ask(connection, 'SELECT GTID_SUBSET(?, ?) AS held', [base, now]);
      return Number(row!.held) === 1;
    }
    const reached = new Map(
      now.split(',').map((gtid) => [gtid.split('-')[0], BigInt(gtid.split('-')[2] ?? 0)]),
    );
    return base
      .split(',')
      .filter((gtid) => gtid !== '')
      .every((gtid) => (reached.get(gtid.split('-')[0]) ?? -1n) >= BigInt(gtid.split('-')[2] ?? 0));
  }

  async #gtidsLogged(connection: Connection, { isMariadb }: MysqlServer): Promise<string> {
    const variable = isMariadb ? 'gtid_binlog_pos' : 'gtid_executed';
    const [row] = await ask(connection, `SELECT @@global.${variable} AS gtids`);
    return String(row!.gtids).replace(/\s/g, '');
  }

  #connected(): Connection {
    if (this.#asking === undefined) throw new Error('The database is not connected.');
    return this.#asking;
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#serial.then(step);
    this.#serial = result.catch(() => {});
    return result;
  }
}
