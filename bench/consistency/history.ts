/**
 * What a run records. Every key goes through numbered states, 1, 2, 3 …; the database hands the numbers out under
 * a row lock, so their order is the order of the commits. In each state the row is there, with the number as its
 * version, or absent.
 *
 * All times are milliseconds of the machine's monotonic clock.
 */

export interface WriteRecord {
  readonly key: number;
  readonly state: number;
  readonly absent: boolean;
  /** Before its commit (or its preparation) was sent: nobody can have seen it earlier. */
  readonly sentMs: number;
  /** Its commit had returned, so everybody sees it; NaN when the answer was lost. */
  readonly returnedMs: number;
  /** A log position at or after the end of its commit; undefined when the answer was lost. */
  readonly position: bigint | undefined;
}

/** A reader of the database itself had got this state, or a later one, at that time. */
export interface Sighting {
  readonly key: number;
  readonly state: number;
  readonly atMs: number;
}

/** The shared tier had confirmed every invalidation up to the position at that time. */
export interface Acknowledgement {
  readonly position: bigint;
  readonly atMs: number;
}

/** Columns of equal length, one row per read. */
export interface ReadBatch {
  readonly keys: Uint16Array;
  /** 0: absent. */
  readonly versions: Int32Array;
  readonly startedMs: Float64Array;
  readonly endedMs: Float64Array;
  /** 1: the value certainly came from the shared tier, asked after the read had begun. */
  readonly far: Uint8Array;
}

/** Times in which a fault excuses a rule. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface History {
  readonly writes: readonly WriteRecord[];
  readonly sightings: readonly Sighting[];
  readonly acknowledgements: readonly Acknowledgement[];
  readonly reads: readonly ReadBatch[];
  /** A failover lost the tail of what the engine had confirmed; only the bound holds then. */
  readonly lostConfirmations: readonly Span[];
}

const batchSize = 4_096;

/** Collects reads into batches. */
export class ReadLog {
  readonly #full: (batch: ReadBatch) => void;
  #batch = newBatch();
  #length = 0;

  constructor(full: (batch: ReadBatch) => void) {
    this.#full = full;
  }

  /** @param version 0 for absent */
  add(key: number, version: number, startedMs: number, endedMs: number, far: boolean): void {
    const at = this.#length++;
    this.#batch.keys[at] = key;
    this.#batch.versions[at] = version;
    this.#batch.startedMs[at] = startedMs;
    this.#batch.endedMs[at] = endedMs;
    this.#batch.far[at] = far ? 1 : 0;
    if (this.#length === batchSize) this.flush();
  }

  flush(): void {
    const { keys, versions, startedMs, endedMs, far } = this.#batch;
    const length = this.#length;
    if (length === 0) return;
    this.#full({
      keys: keys.slice(0, length),
      versions: versions.slice(0, length),
      startedMs: startedMs.slice(0, length),
      endedMs: endedMs.slice(0, length),
      far: far.slice(0, length),
    });
    this.#batch = newBatch();
    this.#length = 0;
  }
}

function newBatch(): ReadBatch {
  return {
    keys: new Uint16Array(batchSize),
    versions: new Int32Array(batchSize),
    startedMs: new Float64Array(batchSize),
    endedMs: new Float64Array(batchSize),
    far: new Uint8Array(batchSize),
  };
}
