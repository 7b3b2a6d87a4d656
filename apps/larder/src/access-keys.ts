/**
 * The access keys that clients of the service use, kept for their owner's eyes only. A secret is kept as it is:
 * whoever checks a signature must make it again.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { withFileLock } from '@larder/engine/store/file-lock';

export const accessRights = ['operator', 'read-only'] as const;
/** `read-only` may perform operations that begin with Describe or List. */
export type AccessRights = (typeof accessRights)[number];

export interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly rights: AccessRights;
  readonly createdAtMs: number;
}

export class NoAccessKeys extends Error {
  override name = 'NoAccessKeys';
}

export class AccessKeyRefused extends Error {
  override name = 'AccessKeyRefused';
}

const mostKeys = 1_000;

/** Makes a first key, for an operator, where there is none. Two that start at once get the same. */
export async function ensureAccessKeys(dataDirectory: string): Promise<readonly AccessKey[]> {
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  return locked(dataDirectory, async () => {
    const present = await readIfThere(dataDirectory);
    if (present !== undefined) return present;
    const made = [newKey('operator')];
    await writeAccessKeys(dataDirectory, made);
    return made;
  });
}

/** Oldest first. @throws NoAccessKeys when no service was started on that directory yet. */
export async function readAccessKeys(dataDirectory: string): Promise<readonly AccessKey[]> {
  const keys = await readIfThere(dataDirectory);
  if (keys !== undefined) return keys;
  throw new NoAccessKeys(
    `There are no access keys in ${dataDirectory}: start the service once with "larder server".`,
  );
}

/** @returns the key with its secret, which nobody shows again. @throws NoAccessKeys, AccessKeyRefused for too many. */
export async function addAccessKey(dataDirectory: string, rights: AccessRights): Promise<AccessKey> {
  // Before the lock, which needs the directory.
  await readAccessKeys(dataDirectory);
  return locked(dataDirectory, async () => {
    const keys = await readAccessKeys(dataDirectory);
    if (keys.length >= mostKeys) {
      throw new AccessKeyRefused(
        `There are ${mostKeys} access keys, the most there can be; remove one first.`,
      );
    }
    const made = newKey(rights);
    await writeAccessKeys(dataDirectory, [...keys, made]);
    return made;
  });
}

/**
 * A running service refuses the key from its next request on.
 * @throws NoAccessKeys; AccessKeyRefused for a key that is not there and for the last operator's.
 */
export async function removeAccessKey(dataDirectory: string, accessKeyId: string): Promise<void> {
  await readAccessKeys(dataDirectory);
  await locked(dataDirectory, async () => {
    const keys = await readAccessKeys(dataDirectory);
    const left = keys.filter((key) => key.accessKeyId !== accessKeyId);
    if (left.length === keys.length) {
      throw new AccessKeyRefused(
        `There is no access key ${JSON.stringify(accessKeyId)}; "larder keys ls" lists them.`,
      );
    }
    if (!left.some(({ rights }) => rights === 'operator')) {
      throw new AccessKeyRefused(
        `${accessKeyId} is the last operator's key; add another first with "larder keys add --rights operator".`,
      );
    }
    await writeAccessKeys(dataDirectory, left);
  });
}

/** Looks into the file again whenever it has changed: keys come and go while the service runs. */
export function accessKeyLookup(
  dataDirectory: string,
): (accessKeyId: string) => Promise<AccessKey | undefined> {
  let read: { readonly version: string; readonly keys: ReadonlyMap<string, AccessKey> } | undefined;
  return async (accessKeyId) => {
    const version = await versionOf(fileOf(dataDirectory));
    if (read?.version !== version) {
      // Replaced since, it holds newer keys than its version says, and is read once more next time.
      const keys = (await readIfThere(dataDirectory)) ?? [];
      read = { version, keys: new Map(keys.map((key) => [key.accessKeyId, key])) };
    }
    return read.keys.get(accessKeyId);
  };
}

/** Another for every file that was renamed into place. */
async function versionOf(file: string): Promise<string> {
  try {
    const { ino, mtimeNs, size } = await stat(file, { bigint: true });
    return `${ino} ${mtimeNs} ${size}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'missing';
    throw error;
  }
}

function newKey(rights: AccessRights): AccessKey {
  return {
    accessKeyId: `LARDER${randomBytes(7).toString('hex').toUpperCase()}`,
    secretAccessKey: randomBytes(30).toString('base64url'),
    rights,
    createdAtMs: Date.now(),
  };
}

async function readIfThere(dataDirectory: string): Promise<readonly AccessKey[] | undefined> {
  try {
    return (JSON.parse(await readFile(fileOf(dataDirectory), 'utf8')) as { keys: AccessKey[] }).keys;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Renamed into place: the service may read it at any moment. */
async function writeAccessKeys(dataDirectory: string, keys: readonly AccessKey[]): Promise<void> {
  const file = fileOf(dataDirectory);
  const partial = await open(`${file}.partial`, 'w', 0o600);
  try {
    await partial.chmod(0o600);
    await partial.writeFile(`${JSON.stringify({ keys }, null, 1)}\n`);
    await partial.sync();
  } finally {
    await partial.close();
  }
  await rename(`${file}.partial`, file);
}

function locked<T>(dataDirectory: string, body: () => Promise<T>): Promise<T> {
  return withFileLock(`${fileOf(dataDirectory)}.lock`, body);
}

function fileOf(dataDirectory: string): string {
  return join(dataDirectory, 'access-keys.json');
}
