/** One replication connection: commands of the replication protocol, then the stream. */
import pg from 'pg';
import type { WatchedRow } from '../definition.ts';
import { decodeCopyMessage, decodePgoutput, encodeStatus, type Relation, type Tuple } from './pgoutput.ts';
import type { PostgresConnection } from './postgres.ts';
import { quoteIdentifier } from './postgres-setup.ts';
import type { ChangeSink, SourceTable } from './source.ts';

export interface ReplicationStreamOptions {
  readonly connection: PostgresConnection;
  readonly tables: readonly SourceTable[];
  readonly sink: ChangeSink;
  readonly fullXid: (xid32: number) => bigint;
  /** What status messages confirm. */
  readonly acknowledged: () => bigint;
}

/** The part of `pg`'s connection that its types leave out. */
interface CopyConnection {
  on(event: 'copyData', listener: (message: { readonly chunk: Buffer }) => void): void;
  once(event: 'replicationStart', listener: () => void): void;
  sendCopyFromChunk(chunk: Buffer): void;
  readonly stream: { destroy(): void };
}

const statusMs = 1_000;

export class ReplicationStream {
  readonly #o: ReplicationStreamOptions;
  readonly #client: pg.Client;
  readonly #connection: CopyConnection;
  readonly #relations = new Map<number, Relation>();
  readonly #tables: ReadonlyMap<string, SourceTable>;
  #inTransaction = false;
  #committedAtMs = 0;
  #streaming = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

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
    const command =
      `START_REPLICATION SLOT ${quoteIdentifier(slot.slot)} LOGICAL 0/0 ` +
      `(proto_version '1', publication_names '${publication}')`;
    await new Promise<void>((resolve, reject) => {
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
        this.#relations.set(message.relation.id, message.relation);
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
      case 'other':
    }
  }

  #change(id: number, change: RowTuples): void {
    const relation = this.#relations.get(id);
    if (relation === undefined) throw new Error(`A change of relation ${id}, which was never described.`);
    const table = this.#tables.get(relation.table);
    if (table === undefined) return;
    const { before, after, isInsert } = change;
    this.#o.sink.change({
      table: relation.table,
      before: before && rowOf(relation, before, undefined),
      after: after && rowOf(relation, after, before),
      identified: isInsert || identifies(relation, table),
    });
  }
}

interface RowTuples {
  readonly before: Tuple | undefined;
  readonly after: Tuple | undefined;
  readonly isInsert: boolean;
}

/**
 * Does an update or a deletion say what the watchers need? Checked per change, for the identity can be altered
 * while we stream. An update without an old tuple left all columns of the identity as they were.
 */
function identifies(relation: Relation, table: SourceTable): boolean {
  if (table.appendOnly) return false;
  if (relation.replicaIdentity === 'f') return true;
  return table.columns.every((name) =>
    relation.columns.some((column) => column.name === name && column.identity),
  );
}

function rowOf(relation: Relation, tuple: Tuple, otherwise: Tuple | undefined): WatchedRow {
  const row: Record<string, string | null> = {};
  for (const [index, { name }] of relation.columns.entries()) {
    row[name] = tuple[index] ?? (tuple[index] === undefined ? (otherwise?.[index] ?? null) : null);
  }
  return row;
}
