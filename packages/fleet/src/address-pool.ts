/**
 * Loopback addresses for nodes and endpoints: 127.64.0.0/10, in blocks of 4,096.
 *
 * A service takes the block that its data directory hashes to, so that two services on one machine stay
 * apart without talking to each other. Whether an address is really free is asked of the machine besides.
 */
import { createHash } from 'node:crypto';
import { dottedAddress } from './ipv4.ts';

const firstAddress = (127 << 24) | (64 << 16);
const blockSize = 4_096;
const blockCount = 2 ** 22 / blockSize;

/** (pure) The block's addresses in order, without its first and last. */
export function* addressesOfBlock(dataDirectory: string): Generator<string> {
  const digest = createHash('sha256').update(dataDirectory).digest();
  const base = firstAddress + (digest.readUInt32BE(0) % blockCount) * blockSize;
  for (let offset = 1; offset < blockSize - 1; offset += 1) yield dottedAddress(base + offset);
}
