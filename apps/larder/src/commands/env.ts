/** `larder env`: what a client needs to talk to the service. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readAccessKeys } from '../access-keys.ts';
import { defaultPort, defaultRegion } from '../config.ts';

/** Shell lines for `eval`, or one JSON object. @throws NoAccessKeys before the service's first start. */
export async function printEnv(dataDirectory: string, json: boolean): Promise<void> {
  // There always is an operator's key: the last one can't be removed.
  const keys = await readAccessKeys(dataDirectory);
  const { accessKeyId, secretAccessKey } = keys.find(({ rights }) => rights === 'operator')!;
  const endpoint = await readFile(join(dataDirectory, 'endpoint.json'), 'utf8').then(
    (text) => (JSON.parse(text) as { endpoint: string }).endpoint,
    () => `http://127.0.0.1:${defaultPort}`,
  );
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ endpoint, accessKeyId, secretAccessKey, region: defaultRegion })}\n`,
    );
    return;
  }
  process.stdout.write(
    [
      `export AWS_ENDPOINT_URL_ELASTICACHE=${endpoint}`,
      `export AWS_ENDPOINT_URL_SNS=${endpoint}`,
      `export AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING=${endpoint}`,
      `export AWS_ACCESS_KEY_ID=${accessKeyId}`,
      `export AWS_SECRET_ACCESS_KEY=${secretAccessKey}`,
      `export AWS_REGION=${defaultRegion}`,
      `export AWS_DEFAULT_REGION=${defaultRegion}`,
      '',
    ].join('\n'),
  );
}
