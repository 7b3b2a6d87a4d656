/** `larder env`: what a client needs to talk to the service. */
import { readAccess } from './access.ts';

/** Shell lines for `eval`, or one JSON object. @throws NoAccessKeys before the service's first start. */
export async function printEnv(dataDirectory: string, json: boolean): Promise<void> {
  const access = await readAccess(dataDirectory);
  if (json) return void process.stdout.write(`${JSON.stringify(access)}\n`);
  const { endpoint, accessKeyId, secretAccessKey, region } = access;
  process.stdout.write(
    [
      `export AWS_ENDPOINT_URL_ELASTICACHE=${endpoint}`,
      `export AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=${endpoint}`,
      `export AWS_ENDPOINT_URL_SNS=${endpoint}`,
      `export AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING=${endpoint}`,
      `export AWS_ACCESS_KEY_ID=${accessKeyId}`,
      `export AWS_SECRET_ACCESS_KEY=${secretAccessKey}`,
      `export AWS_REGION=${region}`,
      `export AWS_DEFAULT_REGION=${region}`,
      '',
    ].join('\n'),
  );
}
