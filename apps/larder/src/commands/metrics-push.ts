/** `larder metrics push`: the service's metrics in the real CloudWatch, or whatever speaks like it. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { ended } from '../ended.ts';
import { positionFile } from '../push/position.ts';
import { pushMetrics } from '../push/push-metrics.ts';
import { UsageError } from '../usage-error.ts';
import { readAccess } from './access.ts';

export interface PushFlags {
  readonly namespace: string;
  readonly from: string;
  readonly region?: string;
  readonly endpointUrl?: string;
  readonly sinceMinutes: number;
  readonly requestsPerSecond: number;
  readonly once: boolean;
}

const everyMs = 60_000;
/** After a push that failed. */
const againMs = 10_000;

/** Ends when told to, or with `--once` when everything that is there was pushed. */
export async function runMetricsPush(dataDirectory: string, flags: PushFlags): Promise<void> {
  checkFlags(flags);
  const { namespace, region, endpointUrl, once } = flags;
  // Credentials of the target are found as the AWS SDK finds them.
  const target = new CloudWatchClient({
    ...(region !== undefined && { region }),
    ...(endpointUrl !== undefined && { endpoint: endpointUrl }),
    retryMode: 'adaptive',
    maxAttempts: 8,
  });
  const destination = JSON.stringify([endpointUrl ?? '', region ?? '', flags.from, namespace]);
  const position = positionFile(join(dataDirectory, 'metrics-push.json'), destination);
  const firstMs = Date.now() - flags.sinceMinutes * 60_000;
  const stopping = new AbortController();
  const toldToEnd = once ? undefined : ended().then(() => stopping.abort());
  while (!stopping.signal.aborted) {
    let waitMs = everyMs;
    try {
      // Its port may be another after each restart.
      const { endpoint, accessKeyId, secretAccessKey, region: own } = await readAccess(dataDirectory);
      const source = new CloudWatchClient({
        endpoint,
        region: own,
        credentials: { accessKeyId, secretAccessKey },
      });
      const pause = () => sleep(1_000 / flags.requestsPerSecond);
      const pushed = await pushMetrics(
        { source, target, fromNamespace: flags.from, namespace, position, nowMs: Date.now, pause },
        firstMs,
      );
      source.destroy();
      if (pushed.data > 0 || once) {
        process.stdout.write(
          `${pushed.data} data of minutes up to ${new Date(pushed.untilMs).toISOString()} pushed in ${pushed.requests} requests.\n`,
        );
      }
    } catch (error) {
      if (once) throw error;
      process.stderr.write(`larder: ${(error as Error).message}; it is tried again.\n`);
      waitMs = againMs;
    }
    if (once) break;
    await sleep(waitMs, undefined, { signal: stopping.signal }).catch(() => undefined);
  }
  target.destroy();
  await toldToEnd;
}

function checkFlags({ namespace, requestsPerSecond, sinceMinutes, endpointUrl }: PushFlags): void {
  if (/^AWS\//i.test(namespace)) {
    throw new UsageError('--namespace may not begin with AWS/: CloudWatch keeps those for itself.');
  }
  if (!(requestsPerSecond > 0 && requestsPerSecond <= 150)) {
    throw new UsageError('--requests-per-second must be more than 0, and at most 150.');
  }
  if (!(sinceMinutes >= 0 && sinceMinutes <= 14 * 24 * 60)) {
    throw new UsageError('--since-minutes must be from 0 to 20160, which is two weeks.');
  }
  if (endpointUrl !== undefined && !URL.canParse(endpointUrl)) {
    throw new UsageError('--endpoint-url must be a URL.');
  }
}
