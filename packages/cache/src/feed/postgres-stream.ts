/** One replication connection: commands of the replication protocol, then the stream. */
import pg from 'pg';
import type { WatchedRow } from '../definition.ts';
import { decodeCopyMessage, decodePgoutput, encodeStatus, type Relation, type Tuple } from './pgoutput.ts';
import type { PostgresConnection } from './postgres.ts';
import { quoteIdentifier } from './quote-sql.ts';
import { rowsOf } from './relation-rows.ts';
import type { ChangeSink, SourceTable } from './source.ts';

export interface ReplicationStreamOptions {
  readonly connection: PostgresConnection;
  readonly tables: readonly SourceTable[];
  readonly sink: ChangeSink;
  readonly fullXid: (xid32: number) => bigint;
  /** What status messages confirm. */
  readonly acknowledged: () => bigint;
  /** A watched table's changes don't say what its watches read: was it altered? */
  readonly onUnidentified: () => void;
}

/** The part of `pg`'s connection that its types leave out. */
interface CopyConnection {
  on(event: 'copyData', listener: (message: { readonly chunk: Buffer }) => void): void;
  once(event: 'replicationStart', listener: () => void): void;
  sendCopyFromChunk(chunk: Buffer): void;
  readonly stream: { destroy(): void; pause(): void; resume(): void };
}

const statusMs = 1_000;

export class ReplicationStream {
  readonly #o: ReplicationStreamOptions;
  readonly #client: pg.Client;
  readonly #connection: CopyConnection;
  readonly #relations = new Map<number, Described>();
  readonly #tables: ReadonlyMap<string, SourceTable>;
  #inTransaction = false;
  #committedAtMs = 0;
  #streaming = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;
  #fail: (error: unknown) => void = () => {};

  constructor(options: ReplicationStreamOptions) {
    this.#o = options;
    this.#tables = new Map(options.tables.map((table) => [table.table, table]));
    this.#client = new pg.Client({
      ...options.connection,
      replication: 'database',
      application_name: 'larder invalidator',
      connectionTimeoutMillis: 2_000,
      keepAlive: true,
    } as pg.ClientConfig);
    this.#connection = (this.#client as unknown as { connection: CopyConnection }).connection;
  }

  async connect(): Promise<void> {
    // The stream's end is reported by `start`; without a listener it would be an uncaught error.
    this.#client.on('error', () => {});
    await this.#client.connect();
  }

  async query(command: string): Promise<readonly Readonly<Record<string, string | null>>[]> {
    return (await this.#client.query(command)).rows as Record<string, string | null>[];
  }

  async identify(): Promise<{ readonly systemId: string; readonly timeline: string }> {
    const [row] = await this.query('IDENTIFY_SYSTEM');
    return { systemId: String(row!.systemid), timeline: String(row!.timeline) };
  }

  /**
   * Streams until the connection ends, from where the slot stands; `onStart` is called before the first
   * message. Rejects with what ended it.
   */
  async start(
    slot: { readonly slot: string; readonly publication: string },
    onStart: () => void,
  ): Promise<void> {
    const publication = quoteIdentifier(slot.publication).replaceAll("'", "''");
    const [server] = await this.query('SHOW server_version_num');
    // Applications' messages, which `touch` sends.
    const messages = Number(server?.server_version_num) >= 140_000 ? ", messages 'true'" : '';
    const command =
      `START_REPLICATION SLOT ${quoteIdentifier(slot.slot)} LOGICAL 0/0 ` +
      `(proto_version '1', publication_names '${publication}'${messages})`;
    await new Promise<void>((resolve, reject) => {
      this.#fail = reject;
      this.#connection.once('replicationStart', () => {
        this.#streaming = true;
        this.#timer = setInterval(() => this.sendStatus(this.#o.acknowledged(), false), statusMs);
        onStart();
      });
      this.#connection.on('copyData', ({ chunk }) => {
        if (this.#closed) return;
        try {
          this.#receive(chunk);
        } catch (error) {
          reject(error);
        }
      });
      this.#client.on('end', () => reject(new Error('The replication connection ended.')));
      this.#client.query(command).then(() => resolve(), reject);
    });
  }

  sendStatus(position: bigint, replyRequested: boolean): void {
    if (!this.#streaming || this.#closed) return;
    this.#connection.sendCopyFromChunk(encodeStatus(position, Date.now(), replyRequested));
  }

  /**
   * While held, reads nothing from the socket: the server blocks in turn, and holds the rest in its own files.
   * Status messages go on, or it would take us for dead.
   */
  hold(held: boolean): void {
    if (this.#closed || !this.#streaming) return;
    if (held) this.#connection.stream.pause();
    else this.#connection.stream.resume();
  }

  /** Ends the stream: `start` rejects with `error`. */
  fail(error: Error): void {
    this.#fail(error);
  }

  close(): void {
    if (this.#closed) return;
    clearInterval(this.#timer);
    // While streaming the server wouldn't read an orderly goodbye; let a last status leave first.
    const wasStreaming = this.#streaming;
    this.#closed = true;
    if (wasStreaming) setImmediate(() => this.#connection.stream.destroy());
    else this.#client.end().catch(() => {});
  }

  #receive(chunk: Buffer): void {
    const message = decodeCopyMessage(chunk);
    if (message === undefined) return;
    if (message.kind === 'data') {
      this.#decode(message.payload);
      return;
    }
    if (!this.#inTransaction) this.#o.sink.progress(message.walEnd);
    if (message.replyRequested) this.sendStatus(this.#o.acknowledged(), false);
  }

  #decode(payload: Buffer): void {
    const { sink } = this.#o;
    const message = decodePgoutput(payload);
    switch (message.kind) {
      case 'begin':
        this.#inTransaction = true;
        this.#committedAtMs = message.committedAtMs;
        sink.begin(this.#o.fullXid(message.xid));
        return;
      case 'commit':
        this.#inTransaction = false;
        sink.commit(message.endLsn, this.#committedAtMs);
        return;
      case 'relation':
        this.#describe(message.relation);
        return;
      case 'insert':
        this.#change(message.relation, { before: undefined, after: message.after, isInsert: true });
        return;
      case 'update':
        this.#change(message.relation, { before: message.before, after: message.after, isInsert: false });
        return;
      case 'delete':
        this.#change(message.relation, { before: message.before, after: undefined, isInsert: false });
        return;
      case 'truncate':
        sink.truncated(message.relations.map((id) => this.#relations.get(id)?.table ?? ''));
        return;
      case 'message':
        sink.touched?.(message.prefix, message.content);
        return;
      case 'other':
    }
  }

  #describe(relation: Relation): void {
    const table = this.#tables.get(relation.table);
    if (table === undefined) {
      this.#relations.set(relation.id, { table: relation.table, read: undefined, identified: true });
      return;
    }
    const lacksColumns = !hasColumns(relation, table);
    const identified = !lacksColumns && identifies(relation, table);
    this.#relations.set(relation.id, {
      table: relation.table,
      read: lacksColumns ? undefined : rowsOf(relation),
      identified,
    });
    // Either the table was altered under us, or these are changes from before it was.
    if (lacksColumns || (!identified && !table.appendOnly)) this.#o.onUnidentified();
  }

  #change(id: number, { before, after, isInsert }: RowTuples): void {
    const relation = this.#relations.get(id);
    if (relation === undefined) throw new Error(`A change of relation ${id}, which was never described.`);
    const { table, read } = relation;
    if (!this.#tables.has(table)) return;
    this.#o.sink.change({
      table,
      before: before && read?.(before),
      after: after && read?.(after),
      identified: read !== undefined && (isInsert || relation.identified),
    });
  }
}

interface RowTuples {
  readonly before: Tuple | undefined;
  readonly after: Tuple | undefined;
  readonly isInsert: boolean;
}

/** A relation as the stream last described it. */
interface Described {
  readonly table: string;
  /** undefined where nobody watches, or columns are missing that a watch reads. */
  readonly read: ((tuple: Tuple) => WatchedRow) | undefined;
  /** Do updates and deletions name what the watches read? */
  readonly identified: boolean;
}

/**
 * Does an update or a deletion say what the watchers need? Checked again whenever the relation is described, for
 * the identity can be altered while we stream. An update without an old tuple left all columns of the identity
 * as they were.
 */
function identifies(relation: Relation, table: SourceTable): boolean {
  if (table.appendOnly) return false;
  if (relation.replicaIdentity === 'f') return true;
  return table.columns.every((name) =>
    relation.columns.some((column) => column.name === name && column.identity),
  );
}

function hasColumns(relation: Relation, table: SourceTable): boolean {
  return table.columns.every((name) => relation.columns.some((column) => column.name === name));
}
