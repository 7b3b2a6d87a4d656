/** The access key that clients of the service use: made on its first start, kept for its owner's eyes only. */
import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export class NoCredentials extends Error {
  override name = 'NoCredentials';
}

/** Reads the key of `dataDirectory`, making it when there is none. Two that start at once get the same. */
export async function ensureCredentials(dataDirectory: string): Promise<Credentials> {
  const file = credentialsFile(dataDirectory);
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  const made: Credentials = {
    accessKeyId: `LARDER${randomBytes(7).toString('hex').toUpperCase()}`,
    secretAccessKey: randomBytes(30).toString('base64url'),
  };
  const mine = `${file}.${process.pid}`;
  await writeFile(mine, JSON.stringify(made), { mode: 0o600 });
  await link(mine, file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await rm(mine);
  return readCredentials(dataDirectory);
}

/** @throws NoCredentials when no service was started on that directory yet. */
export async function readCredentials(dataDirectory: string): Promise<Credentials> {
  let text: string;
  try {
    text = await readFile(credentialsFile(dataDirectory), 'utf8');
  } catch (error) {
    throw new NoCredentials(
      `There are no credentials in ${dataDirectory}: start the service once with "larder server".`,
      { cause: error },
    );
  }
  return JSON.parse(text) as Credentials;
}

function credentialsFile(dataDirectory: string): string {
  return join(dataDirectory, 'credentials.json');
}
