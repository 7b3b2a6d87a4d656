/** `larder keys ls|add|rm`. */
import {
  type AccessRights,
  accessRights,
  addAccessKey,
  readAccessKeys,
  removeAccessKey,
} from '../access-keys.ts';
import { UsageError } from '../usage-error.ts';

/** Without the secrets: each was shown once, when its key was made. */
export async function listKeys(dataDirectory: string, json: boolean): Promise<void> {
  const keys = (await readAccessKeys(dataDirectory)).map(({ accessKeyId, rights, createdAtMs }) => ({
    accessKeyId,
    rights,
    createdAt: new Date(createdAtMs).toISOString(),
  }));
  process.stdout.write(
    json
      ? `${JSON.stringify(keys)}\n`
      : keys.map((key) => `${key.accessKeyId}  ${key.rights.padEnd(9)}  ${key.createdAt}\n`).join(''),
  );
}

/** Prints the new key, this once with its secret. */
export async function addKey(dataDirectory: string, rights: string, json: boolean): Promise<void> {
  const made = await addAccessKey(dataDirectory, knownRights(rights));
  const { accessKeyId, secretAccessKey } = made;
  process.stdout.write(
    json
      ? `${JSON.stringify({ accessKeyId, secretAccessKey, rights: made.rights })}\n`
      : `access key ID      ${accessKeyId}\nsecret access key  ${secretAccessKey}\nrights             ${made.rights}\n` +
          'The secret is not shown again. A running service takes the key at once.\n',
  );
}

export async function removeKey(dataDirectory: string, accessKeyId: string, json: boolean): Promise<void> {
  await removeAccessKey(dataDirectory, accessKeyId);
  process.stdout.write(
    json
      ? `${JSON.stringify({ removed: accessKeyId })}\n`
      : `Removed ${accessKeyId}; a running service refuses it from now on.\n`,
  );
}

function knownRights(text: string): AccessRights {
  const known = accessRights.find((each) => each === text);
  if (known !== undefined) return known;
  throw new UsageError(`--rights must be ${accessRights.join(' or ')}, not ${JSON.stringify(text)}.`);
}
