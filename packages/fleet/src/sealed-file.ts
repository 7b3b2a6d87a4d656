/**
 * Files encrypted at rest: AES-256-GCM in chunks, so that a file of any size is written and read in little memory.
 *
 * A file is a header, a salt and chunks. Each file has a key of its own, derived from its salt, so the chunks' nonces
 * may just count. The last chunk is marked in its nonce: a file that was cut off, or whose chunks were exchanged, does
 * not open.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';

const header = Buffer.from('LARDER-1', 'latin1');
const saltBytes = 16;
const tagBytes = 16;
const chunkBytes = 2 ** 20;
const cipherName = 'aes-256-gcm';

export class SealBroken extends Error {
  override name = 'SealBroken';
}

export type KeyOf = (salt: string) => Buffer;

/** Writes `source` encrypted to `target` (mode 0600), durably. @returns the SHA-256 of what is in `source`. */
export async function sealFile(source: string, target: string, keyOf: KeyOf): Promise<string> {
  const salt = randomBytes(saltBytes);
  const key = keyOf(salt.toString('hex'));
  return convert(source, target, async (input, output, sizeBytes) => {
    const hash = createHash('sha256');
    await output.write(Buffer.concat([header, salt]));
    let position = 0;
    for (let index = 0; ; index += 1) {
      const plain = await readAt(input, position, Math.min(chunkBytes, sizeBytes - position));
      position += plain.length;
      const isLast = position >= sizeBytes;
      const cipher = createCipheriv(cipherName, key, nonceOf(index, isLast));
      await output.write(Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]));
      hash.update(plain);
      if (isLast) return hash.digest('hex');
    }
  });
}

/**
 * Writes what was sealed to `target` (mode 0600), durably.
 * @returns its SHA-256.
 * @throws SealBroken when it was changed, cut off, or sealed with another key. `target` then holds rubbish.
 */
export async function openSealedFile(source: string, target: string, keyOf: KeyOf): Promise<string> {
  const output = await open(target, 'w', 0o600);
  try {
    const hash = createHash('sha256');
    for await (const plain of readSealedFile(source, keyOf)) {
      await output.write(plain);
      hash.update(plain);
    }
    await output.sync();
    return hash.digest('hex');
  } finally {
    await output.close();
  }
}

/** What was sealed, in pieces of at most 1 MiB. @throws SealBroken, perhaps after some pieces. */
export async function* readSealedFile(source: string, keyOf: KeyOf): AsyncGenerator<Buffer> {
  const input = await open(source);
  try {
    const sizeBytes = (await input.stat()).size;
    const start = await readAt(input, 0, Math.min(sizeBytes, header.length + saltBytes));
    if (start.length < header.length + saltBytes || !start.subarray(0, header.length).equals(header)) {
      throw new SealBroken('It does not begin as a sealed file does.');
    }
    const key = keyOf(start.subarray(header.length).toString('hex'));
    let position = start.length;
    for (let index = 0; ; index += 1) {
      const sealed = await readAt(input, position, Math.min(chunkBytes + tagBytes, sizeBytes - position));
      position += sealed.length;
      const isLast = position >= sizeBytes;
      yield openChunk(key, nonceOf(index, isLast), sealed);
      if (isLast) return;
    }
  } finally {
    await input.close();
  }
}

function openChunk(key: Buffer, nonce: Buffer, sealed: Buffer): Buffer {
  if (sealed.length < tagBytes) throw new SealBroken('It was cut off.');
  const decipher = createDecipheriv(cipherName, key, nonce);
  decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, sealed.length - tagBytes)), decipher.final()]);
  } catch (cause) {
    throw new SealBroken('It was changed, cut off, or sealed with another key.', { cause });
  }
}

function nonceOf(index: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(index, 7);
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

async function convert(
  source: string,
  target: string,
  work: (input: FileHandle, output: FileHandle, sizeBytes: number) => Promise<string>,
): Promise<string> {
  const input = await open(source);
  try {
    const output = await open(target, 'w', 0o600);
    try {
      const result = await work(input, output, (await input.stat()).size);
      await output.sync();
      return result;
    } finally {
      await output.close();
    }
  } finally {
    await input.close();
  }
}

async function readAt(input: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await input.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) throw new SealBroken('It became shorter while it was read.');
    filled += bytesRead;
  }
  return buffer;
}
