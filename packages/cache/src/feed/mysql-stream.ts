/** One connection to the binary log, over `@vlasky/zongji`: events in, changes out. */
import { default as ZongJi } from '@vlasky/zongji';
import type { MysqlConnection } from './mysql.ts';
import { changesNoRows, type LogPlace, mentions, packPlace } from './mysql-position.ts';
import type { ChangeSink, SourceTable } from './source.ts';
import { strictRow } from './strict-row.ts';

export interface MysqlStreamOptions {
  readonly connection: MysqlConnection;
  readonly serverId: number;
  readonly from: LogPlace;
  readonly tables: readonly SourceTable[];
  readonly sink: ChangeSink;
  /** A transaction began: its number, and its GTID. */
  readonly onTransaction: (transaction: bigint, gtid: string | undefined) => void;
}

/** What we use of zongji's events. */
interface LogEvent {
  readonly timestamp: number;
  readonly gtid?: string;
  readonly query?: string;
  readonly standalone?: boolean;
  readonly tableId?: number;
  readonly tableMap?: Readonly<Record<number, { readonly parentSchema: string; readonly tableName: string }>>;
  readonly rows?: readonly Readonly<Record<string, unknown>>[];
  getEventName(): string;
}

export class MysqlStream {
  readonly #o: MysqlStreamOptions;
  readonly #log: ZongJi;
  readonly #byName: ReadonlyMap<string, SourceTable>;
  /** What the log is in the midst of; places within are no place to go on from. */
  #group: 'none' | 'statement' | 'transaction' = 'none';
  /** A transaction was begun at the sink: it changes a watched table. */
  #open = false;
  /** The newest place between transactions. */
  #last: bigint;
  #ended = false;
  #fail: (error: Error) => void = () => {};

  constructor(options: MysqlStreamOptions) {
    this.#o = options;
    this.#byName = new Map(options.tables.map((table) => [table.table, table]));
    this.#last = packPlace(options.from);
    this.#log = new ZongJi({
      ...options.connection,
      dateStrings: true,
      supportBigNumbers: true,
      bigNumberStrings: true,
    });
  }

  /** Streams until the connection ends or `fail` is called; rejects with what ended it. */
  run(onReady: () => void): Promise<void> {
    return new Promise((_, reject) => {
      this.#fail = (error) => {
        this.close();
        reject(error);
      };
      this.#log.on('error', (error: Error) => this.#fail(error));
      this.#log.on('ready', onReady);
      this.#log.on('binlog', (event: unknown) => {
        if (this.#ended) return;
        try {
          this.#receive(event as LogEvent);
        } catch (error) {
          this.#fail(error as Error);
        }
      });
      const { from, serverId, tables } = this.#o;
      const includeSchema: Record<string, string[]> = {};
      for (const { table } of tables) {
        const [schema = '', name = ''] = table.split('.');
        includeSchema[schema] = [...(includeSchema[schema] ?? []), name];
      }
      this.#log.start({ serverId, filename: from.file, position: from.offset, includeSchema });
    });
  }

  fail(error: Error): void {
    this.#fail(error);
  }

  hold(held: boolean): void {
    const { connection } = this.#log as unknown as {
      readonly connection: { pause(): void; resume(): void } | null;
    };
    if (held) connection?.pause();
    else connection?.resume();
  }

  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#log.stop();
  }

  #receive(event: LogEvent): void {
    switch (event.getEventName()) {
      case 'mariadbgtid':
        this.#group = event.standalone === true ? 'statement' : 'transaction';
        break;
      case 'gtid':
      case 'anonymousgtid':
        // BEGIN follows when it is more.
        this.#group = 'statement';
        break;
      case 'writerows':
        this.#rows(event, (row) => ({ before: undefined, after: row }));
        break;
      case 'updaterows':
        this.#rows(event, (row) => row as { readonly before: RowValues; readonly after: RowValues });
        break;
      case 'deleterows':
        this.#rows(event, (row) => ({ before: row, after: undefined }));
        break;
      case 'xid':
      case 'xaprepare':
        this.#commit(event);
        break;
      case 'query':
        this.#statement(event, (event.query ?? '').trim());
        break;
      default:
        // Between transactions: files change, GTIDs are listed. The log has come this far.
        if (this.#group === 'none') this.#progress();
    }
  }

  #rows(
    event: LogEvent,
    split: (row: RowValues) => {
      readonly before: RowValues | undefined;
      readonly after: RowValues | undefined;
    },
  ): void {
    const described = event.tableMap?.[event.tableId ?? -1];
    if (described === undefined) throw new Error('A row of a table that the log never described.');
    const table = `${described.parentSchema}.${described.tableName}`;
    const watched = this.#byName.get(table);
    if (watched === undefined) return;
    this.#begin(event);
    for (const values of event.rows ?? []) {
      const { before, after } = split(values);
      this.#o.sink.change({
        table,
        before: before && strictRow(table, textsOf(before)),
        after: after && strictRow(table, textsOf(after)),
        identified: before === undefined || !watched.appendOnly,
      });
    }
  }

  /** A statement in the log: DDL, a session that logs by statement, or the frame of a transaction. */
  #statement(event: LogEvent, statement: string): void {
    if (/^(begin|start\s+transaction|xa\s+start)\b/i.test(statement)) {
      this.#group = 'transaction';
      return;
    }
    const touched = /^xa\s+commit\b/i.test(statement)
      ? // Its rows were logged when it was prepared, and only now become visible.
        [...this.#byName.keys()]
      : changesNoRows(statement)
        ? []
        : [...this.#byName.keys()].filter((table) => mentions(statement, table));
    if (touched.length > 0) {
      this.#begin(event);
      this.#o.sink.truncated(touched);
    }
    const ends = /^(commit|rollback)\b(?!\s+to\b)/i.test(statement);
    if (ends || this.#group !== 'transaction') this.#commit(event);
  }

  /** A transaction's number is a place within it, before its end: a snapshot beyond that holds all of it. */
  #begin(event: LogEvent): void {
    if (this.#open) return;
    this.#open = true;
    const transaction = this.#last + 1n;
    this.#o.onTransaction(transaction, event.gtid);
    this.#o.sink.begin(transaction);
  }

  #commit(event: LogEvent): void {
    this.#group = 'none';
    if (!this.#open) {
      this.#progress();
      return;
    }
    this.#open = false;
    this.#last = this.#position();
    this.#o.sink.commit(this.#last, event.timestamp);
  }

  #progress(): void {
    this.#last = this.#position();
    this.#o.sink.progress(this.#last);
  }

  #position(): bigint {
    const { filename, position } = this.#log.get(['filename', 'position']) as {
      filename: string;
      position: number;
    };
    const now = packPlace({ file: filename, offset: position });
    if (now < this.#last) throw new Error('The binary log went back: it was reset.');
    return now;
  }
}

type RowValues = Readonly<Record<string, unknown>>;

/** As the server prints them; binary values as hex. What isn't text or a number stays unreadable. */
function textsOf(values: RowValues): RowValues {
  const texts: Record<string, unknown> = Object.create(null);
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === 'bigint') texts[name] = value.toString();
    else if (typeof value === 'boolean') texts[name] = value ? '1' : '0';
    else texts[name] = Buffer.isBuffer(value) ? value.toString('hex') : value;
  }
  return texts;
}
