/**
 * Where things lie in the shared tier. A namespace is split into partitions; each is one hash tag, so that all
 * keys of one script call share a slot, and so a node, and so one atomic step.
 *
 *   {tag}<name>:<version>:<key>     an entry
 *   {tag}#l:<name>:<version>:<key>  the lease of the process that loads it
 *   {tag}#state                     hash: e epoch, a applied, w watermark, f floor, q sequence, s source,
 *                                   t tag invalidations, v void definitions, m largest number of an
 *                                   event, p<offset> announced transactions
 *   {tag}#stamps                    string: 65,536 records of 12 bytes, see scripts.ts
 *   {tag}#tags                      string: 4,096 such records for tags
 *   {tag}#t:<tag>                   sorted set: full keys of the entries with a tag, by expiry
 *   {tag}#tagsets                   sorted set: the keys of those sets, by the expiry of their last entry
 *   {tag}#beat                      string: epoch(12) heartbeat(12) applied(16) void definitions, all hex
 *   {tag}#ch                        channel of near-tier messages
 *
 * Names of definitions can't begin with '#', so nothing collides.
 */

export const bucketCount = 65_536;
/** Tags that share a record only refuse each other's fills, for the time of a load. */
export const tagBucketCount = 4_096;
export const stampBytes = 12;

export interface PartitionKeys {
  readonly index: number;
  readonly tag: string;
  /** Cluster slot of everything in it. */
  readonly slot: number;
  readonly state: string;
  readonly stamps: string;
  readonly tagStamps: string;
  readonly tagSets: string;
  readonly beat: string;
  readonly channel: string;
}

/**
 * `count` partitions, spread evenly over the 16,384 slots: for each, the smallest number whose tag falls into
 * its share. A pure function of both arguments: every process finds the same tags.
 */
export function partitionsOf(namespace: string, count: number): readonly PartitionKeys[] {
  const found = new Array<PartitionKeys | undefined>(count);
  let missing = count;
  for (let n = 0; missing > 0; n += 1) {
    const inner = `${namespace}:${n.toString(36)}`;
    const slot = slotOf(inner);
    const index = Math.floor((slot * count) / 16_384);
    if (found[index] !== undefined) continue;
    const tag = `{${inner}}`;
    found[index] = {
      index,
      tag,
      slot,
      state: `${tag}#state`,
      stamps: `${tag}#stamps`,
      tagStamps: `${tag}#tags`,
      tagSets: `${tag}#tagsets`,
      beat: `${tag}#beat`,
      channel: `${tag}#ch`,
    };
    missing -= 1;
  }
  return found as PartitionKeys[];
}

export function valueKey(partition: PartitionKeys, fullKey: string): string {
  return partition.tag + fullKey;
}

export function leaseKey(partition: PartitionKeys, fullKey: string): string {
  return `${partition.tag}#l:${fullKey}`;
}

export function tagSetKey(partition: PartitionKeys, tag: string): string {
  return `${partition.tag}#t:${tag}`;
}

/**
 * FNV-1a, 32 bits, over UTF-8, then the finalizer of MurmurHash3: FNV alone hardly lets the last characters
 * reach the upper bits. The low 16 bits choose the bucket, the high 16 the partition.
 */
export function hashKey(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return hashBytes(Buffer.from(text, 'utf8'));
    hash = Math.imul(hash ^ unit, 0x01000193);
  }
  return finalize(hash);
}

function hashBytes(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return finalize(hash);
}

function finalize(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

export function bucketOffset(hash: number): number {
  return (hash & 0xffff) * stampBytes;
}

export function tagOffset(tag: string): number {
  return (hashKey(tag) % tagBucketCount) * stampBytes;
}

export function partitionIndex(hash: number, count: number): number {
  return count === 1 ? 0 : (hash >>> 16) % count;
}

/** The slot that Valkey Cluster gives a key without braces: CRC-16 (XMODEM) modulo 16,384. */
export function slotOf(text: string): number {
  let crc = 0;
  for (const byte of Buffer.from(text, 'utf8')) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1)
      crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc % 16_384;
}
