/** Tests only: the API on a free loopback port. */
import type { AddressInfo } from 'node:net';
import { type ServerType, serve } from '@hono/node-server';
import type { ScalingHandlers } from '@larder/contract/application-auto-scaling/handlers';
import type { LogsHandlers } from '@larder/contract/cloudwatch-logs/handlers';
import { type ApiOptions, createApi } from './server.ts';

export interface RunningApi {
  readonly url: string;
  readonly port: number;
  /** What the API logged as errors, in order. */
  readonly errors: object[];
  lastRequestId(): string | undefined;
  close(): Promise<void>;
}

export async function startApi(options: Partial<ApiOptions>): Promise<RunningApi> {
  const errors: object[] = [];
  let count = 0;
  let lastRequestId: string | undefined;
  const api = createApi({
    handlers: {},
    // Tests of scaling give their own; no other sends such requests.
    scalingHandlers: {} as ScalingHandlers,
    cloudWatchHandlers: {},
    snsHandlers: {},
    logsHandlers: {} as LogsHandlers,
    region: 'eu-test-1',
    accountId: '000000000000',
    now: () => new Date(),
    logger: { debug: () => undefined, error: (fields) => errors.push(fields) },
    newRequestId: () => {
      count += 1;
      lastRequestId = `request-${count}`;
      return lastRequestId;
    },
    ...options,
  });
  const server = await new Promise<ServerType>((resolve) => {
    const started = serve({ fetch: api.fetch, hostname: '127.0.0.1', port: 0 }, () => resolve(started));
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    errors,
    lastRequestId: () => lastRequestId,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        if ('closeAllConnections' in server) server.closeAllConnections();
      }),
  };
}
