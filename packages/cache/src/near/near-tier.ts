/**
 * The near tier: values in this process, bounded by bytes. It holds nothing back on its own authority: whether
 * an entry may be served is decided at each read from the partition's proof of coherence, so an entry whose
 * proof has lapsed is only memory, and flushing a partition is one increment (`nearSession`).
 *
 * Eviction is second chance over the order of insertion: a hit sets a flag, no list is touched on the read path.
 * A full tier takes in a newcomer only if it was seen more often lately than what would have to go for it: a scan
 * over everything must not push out what everybody reads.
 */
import { hashKey } from '../far/partition.ts';
import type { PartitionState } from '../far/partition-state.ts';
import { FrequencySketch } from './frequency-sketch.ts';

/** A class, because every hit reads it: spread together, its objects were of many shapes and ten times as slow. */
export class NearEntry {
  // First what a hit reads: it should lie in one line of the CPU's cache.
  readonly partition: PartitionState;
  /** Coherent under this session of the partition's messages; -1 for never. */
  readonly nearSession: number;
  /** Whole, so that it stands in the object itself: reading a fraction is one more miss of the CPU's cache. */
  readonly expiresAtMs: number;
  touched = false;
  readonly value: unknown;
  /** Of the value, for those who await it; made when first asked for. */
  promise: Promise<unknown> | undefined = undefined;
  /** The value was read from the database so recently that it needs no other proof until then (local clock). */
  readonly selfProvenUntilMs: number;
  /** The JSON text that the value was read from, so that the same text gives the same object; null for absent. */
  readonly payload: string | null;
  readonly map: Map<string, NearEntry>;
  readonly key: string;
  readonly bytes: number;
  older: NearEntry | undefined = undefined;
  newer: NearEntry | undefined = undefined;

  constructor(entry: NewNearEntry, bytes: number) {
    this.map = entry.map;
    this.key = entry.key;
    this.partition = entry.partition;
    this.value = entry.value;
    this.payload = entry.payload;
    this.nearSession = entry.nearSession;
    this.selfProvenUntilMs = entry.selfProvenUntilMs;
    this.expiresAtMs = Math.floor(entry.expiresAtMs);
    this.bytes = bytes;
  }
}

export type NewNearEntry = Omit<NearEntry, 'bytes' | 'promise' | 'touched' | 'older' | 'newer'>;

/** What an entry costs beside its value: the object, its key, its place in the map. */
const overheadBytes = 256;
/** A value takes about this many times its text: parsed JSON twice, and the text itself. */
const expansion = 3;

export class NearTier {
  readonly maxBytes: number;
  bytes = 0;
  entries = 0;
  evictions = 0;
  /** Values that a full tier did not take in. */
  rejections = 0;
  readonly #seen: FrequencySketch;
  #oldest: NearEntry | undefined;
  #newest: NearEntry | undefined;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
    // About four times as many keys as fit.
    this.#seen = new FrequencySketch(2 ** Math.min(18, Math.max(8, Math.ceil(Math.log2(maxBytes / 512)))));
  }

  put(entry: NewNearEntry): void {
    const bytes = overheadBytes + entry.key.length * 2 + (entry.payload?.length ?? 0) * expansion;
    const present = entry.map.get(entry.key);
    if (present !== undefined) this.remove(present);
    if (bytes > this.maxBytes / 4) return;
    const hash = hashKey(entry.key);
    const seenBefore = this.#seen.add(hash);
    if (present === undefined && this.bytes + bytes > this.maxBytes) {
      const victim = this.#nextVictim();
      if (victim !== undefined && this.#seen.count(hashKey(victim.key)) > seenBefore + 1) {
        this.rejections += 1;
        return;
      }
    }
    const added = new NearEntry(entry, bytes);
    entry.map.set(entry.key, added);
    this.#append(added);
    this.bytes += bytes;
    this.entries += 1;
    while (this.bytes > this.maxBytes) this.#evictOne();
  }

  remove(entry: NearEntry): void {
    if (entry.map.get(entry.key) !== entry) return;
    entry.map.delete(entry.key);
    this.#unlink(entry);
    this.bytes -= entry.bytes;
    this.entries -= 1;
  }

  #evictOne(): void {
    this.remove(this.#nextVictim()!);
    this.evictions += 1;
  }

  /** The oldest that wasn't read since it was last looked at; those that were get a second chance. */
  #nextVictim(): NearEntry | undefined {
    for (;;) {
      const entry = this.#oldest;
      if (entry === undefined || !entry.touched) return entry;
      entry.touched = false;
      this.#seen.add(hashKey(entry.key));
      this.#unlink(entry);
      this.#append(entry);
    }
  }

  #append(entry: NearEntry): void {
    entry.older = this.#newest;
    entry.newer = undefined;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
  }

  #unlink(entry: NearEntry): void {
    if (entry.older === undefined) this.#oldest = entry.newer;
    else entry.older.newer = entry.newer;
    if (entry.newer === undefined) this.#newest = entry.older;
    else entry.newer.older = entry.older;
  }
}

/** Freezes parsed JSON all the way down: near values are shared by all readers of the process. */
export function freezeJson<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) freezeJson(part);
  return Object.freeze(value);
}
