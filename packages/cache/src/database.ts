/** What a cache may ask the database itself, by capability. Beside the feed, in the processes that serve requests. */
export interface Database {
  /** Names the history that positions and transactions belong to. */
  readonly name: string;
  /** The log's end: every commit that was acknowledged before the question has a position up to it. */
  position(): Promise<bigint>;
  /**
   * The number of a new transaction, which ends at once: whoever began before the question has a smaller one.
   */
  barrier(): Promise<bigint>;
  /** The smallest number of a transaction in progress: new readers see everything smaller that was committed. */
  oldestInProgress(): Promise<bigint>;
}

/** A transaction under way, as `pg`'s clients are one between BEGIN and COMMIT. */
export interface Transaction {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly Record<string, unknown>[] }>;
}

/** What `touch` needs: a database that can carry a message with a transaction to the feed. */
export interface TouchableDatabase extends Database {
  /** The message reaches the feed at the commit, in its place; a rollback takes it back. */
  message(transaction: Transaction, prefix: string, content: string): Promise<void>;
  /** Its number, given now if it had none. */
  numberOf(transaction: Transaction): Promise<bigint>;
}

export function isTouchable(database: Database): database is TouchableDatabase {
  return 'message' in database && 'numberOf' in database;
}
