/** What no customer may tell an engine, for tests: by the service's own user, at the engine's own socket. */
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serviceUserName } from '@larder/engine/acl';
import { adminSocket } from '@larder/engine/config-file';
import { nodeSecrets } from '@larder/fleet/node-secrets';
import { Redis } from 'ioredis';

/** @param nodeId the node's folder name, `shop-001.0001`. */
export async function execEngineCommand(
  dataDirectory: string,
  nodeId: string,
  command: readonly string[],
): Promise<unknown> {
  const secrets = nodeSecrets(await readFile(join(dataDirectory, 'secret.key')));
  // A socket's path may have 107 characters; through the folder's descriptor it is short wherever that lies.
  const folder = await open(join(dataDirectory, 'nodes', nodeId));
  const redis = new Redis({
    path: `/proc/${process.pid}/fd/${folder.fd}/${adminSocket}`,
    username: serviceUserName,
    password: secrets.admin(nodeId),
    enableReadyCheck: false,
  });
  redis.on('error', () => {});
  try {
    const [name, ...words] = command;
    return await redis.call(name!, ...words);
  } finally {
    redis.disconnect();
    await folder.close();
  }
}
