/**
 * The passwords between the service and its engines, and between engines, the keys of snapshots and of webhooks. Each is derived
 * from one key, so that none has to be kept, and a service that comes back knows them all.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface NodeSecrets {
  /** Of the service's own user at one node. */
  admin(nodeId: string): string;
  /** Of replicas at their primary: the same everywhere, so that a node can change its group. */
  readonly replication: string;
  /** Of one IAM user, between the router that checked its token and the engine. */
  iamUser(groupId: string, userId: string): string;
  /** 32 bytes: the key of one file of a snapshot, by the random salt that the file itself holds. */
  snapshotFile(salt: string): Buffer;
  /** With which messages to one webhook are signed, as Standard Webhooks writes it. */
  webhook(subscriptionArn: string, generation: number): string;
}

const keyBytes = 32;

/**
 * The key of the service in `directory`, for `nodeSecrets`: `secret.key` (mode 0600), made when there is none. Two that
 * open it at once get the same.
 * @throws when the key is there and too short: made anew, it would lock the service out of every engine.
 */
export async function openSecretKey(directory: string): Promise<Buffer> {
  const file = join(directory, 'secret.key');
  const mine = `${file}.${process.pid}`;
  await writeFile(mine, randomBytes(keyBytes), { mode: 0o600 });
  await link(mine, file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await rm(mine);
  const key = await readFile(file);
  if (key.length < keyBytes) throw new Error(`${file} is not whole; restore it from a backup.`);
  return key;
}

/** @param key at least 32 random bytes. */
export function nodeSecrets(key: Buffer): NodeSecrets {
  const derive = (...words: string[]) =>
    createHmac('sha256', key).update(JSON.stringify(words)).digest('hex');
  return {
    admin: (nodeId) => derive('admin', nodeId),
    replication: derive('replication'),
    iamUser: (groupId, userId) => derive('iam', groupId, userId),
    webhook: (subscriptionArn, generation) =>
      `whsec_${Buffer.from(derive('webhook', subscriptionArn, String(generation)), 'hex').toString('base64')}`,
    snapshotFile: (salt) => Buffer.from(derive('snapshot', salt), 'hex'),
  };
}

/** As the engines keep passwords. */
export function passwordHash(password: string): string {
  return createHash('sha256').update(password).digest('hex');
}
