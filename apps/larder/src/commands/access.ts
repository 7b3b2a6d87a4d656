/** What the command line asks a service with: where it listens, and the oldest operator's key. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readAccessKeys } from '../access-keys.ts';
import { defaultPort, defaultRegion } from '../config.ts';

export interface Access {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

/** @throws NoAccessKeys before the service's first start. */
export async function readAccess(dataDirectory: string): Promise<Access> {
  // There always is an operator's key: the last one can't be removed.
  const keys = await readAccessKeys(dataDirectory);
  const { accessKeyId, secretAccessKey } = keys.find(({ rights }) => rights === 'operator')!;
  const endpoint = await readFile(join(dataDirectory, 'endpoint.json'), 'utf8').then(
    (text) => (JSON.parse(text) as { endpoint: string }).endpoint,
    () => `http://127.0.0.1:${defaultPort}`,
  );
  return { endpoint, accessKeyId, secretAccessKey, region: defaultRegion };
}
