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
