/** The object store that the service was told of, and the credentials for it. */
import { readFile } from 'node:fs/promises';
import type { Buckets } from '@larder/control/bucket/bucket';
import { type ObjectStoreAccess, ObjectStoreRefused } from '@larder/fleet/object-store/object-store';
import { defaultCredentials, s3ObjectStore } from '@larder/fleet/object-store/s3';

export interface ObjectStoreFlags extends Omit<ObjectStoreAccess, 'credentials'> {
  /** Missing: the AWS SDK's own chain is asked. */
  readonly credentialsFile?: string;
}

/** Credentials are read at each use: they are changed while the service runs. */
export function bucketsOf({ credentialsFile, ...place }: ObjectStoreFlags): Buckets {
  return {
    async access() {
      const credentials =
        credentialsFile === undefined
          ? await defaultCredentials(place)
          : readCredentials(await readFile(credentialsFile, 'utf8').catch(unreadable));
      return { ...place, credentials };
    },
    open: (access) => s3ObjectStore(access),
  };

  function unreadable(cause: NodeJS.ErrnoException): never {
    throw new ObjectStoreRefused(
      `The file of --s3-credentials-file can't be read (${cause.code ?? 'unknown'}).`,
      { cause },
    );
  }
}

/** (pure) The section `default` of a file as the AWS command line has it. @throws ObjectStoreRefused */
export function readCredentials(text: string): ObjectStoreAccess['credentials'] {
  const found = new Map<string, string>();
  let section = 'default';
  for (const line of text.split(/\r?\n/)) {
    const header = /^\s*\[\s*(.+?)\s*\]/.exec(line)?.[1];
    if (header !== undefined) section = header;
    const [, name, value] = /^\s*(aws_[a-z_]+)\s*=\s*(\S+)\s*$/.exec(line) ?? [];
    if (section === 'default' && name !== undefined) found.set(name, value!);
  }
  const accessKeyId = found.get('aws_access_key_id');
  const secretAccessKey = found.get('aws_secret_access_key');
  const sessionToken = found.get('aws_session_token');
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new ObjectStoreRefused(
      'The file of --s3-credentials-file needs aws_access_key_id and aws_secret_access_key in [default].',
    );
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
}
