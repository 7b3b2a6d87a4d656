/**
 * `GET /metrics` at an address of its own: OpenMetrics text. Who reaches a loopback address may read it; elsewhere, and wherever a
 * token is set, a bearer token is asked for.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { isIP, isIPv6 } from 'node:net';
import { type MetricFamily, openMetricsText, openMetricsType } from '@larder/metrics/exposition/open-metrics';
import { UsageError } from './usage-error.ts';

export interface MetricsFlags {
  readonly metricsListen?: string;
  readonly metricsTokenFile?: string;
}

export interface MetricsListen {
  readonly address: string;
  readonly port: number;
  readonly token: string | undefined;
}

/** @throws UsageError */
export async function metricsListen({
  metricsListen: text,
  metricsTokenFile: file,
}: MetricsFlags): Promise<MetricsListen | undefined> {
  if (text === undefined) {
    if (file === undefined) return undefined;
    throw new UsageError('--metrics-token-file needs --metrics-listen.');
  }
  const [, bracketed, plain, portText] = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = bracketed ?? plain;
  const port = Number(portText);
  if (address === undefined || isIP(address) === 0 || port > 65_535) {
    throw new UsageError(
      '--metrics-listen must be an address and a port, such as 127.0.0.1:9121 or [::1]:9121.',
    );
  }
  const onLoopback = isIPv6(address) ? address === '::1' : address.startsWith('127.');
  if (file === undefined) {
    if (onLoopback) return { address, port, token: undefined };
    throw new UsageError('--metrics-listen beyond loopback needs --metrics-token-file.');
  }
  const token = await readFile(file, 'utf8').then(
    (content) => content.trim(),
    (error: Error) => {
      throw new UsageError(`--metrics-token-file can't be read: ${error.message}`);
    },
  );
  if (!/^[\x21-\x7e]{16,512}$/.test(token)) {
    throw new UsageError(`${file} must hold one token of 16 to 512 printable characters.`);
  }
  return { address, port, token };
}

/**
 * @param families undefined while this controller does not lead: it is answered with 503.
 * @returns once it listens.
 */
export async function serveMetrics(
  { address, port, token }: MetricsListen,
  families: () => Promise<MetricFamily[]> | undefined,
  onProblem: (error: Error) => void,
): Promise<Server> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://metrics');
    const end = (status: number, body: string, type = 'text/plain; charset=utf-8') =>
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
    request.resume();
    if (request.method !== 'GET' || pathname !== '/metrics')
      return end(404, 'There is GET /metrics alone.\n');
    if (token !== undefined && !sameText(request.headers.authorization ?? '', `Bearer ${token}`)) {
      response.setHeader('www-authenticate', 'Bearer');
      return end(401, 'A bearer token is needed.\n');
    }
    const found = families();
    if (found === undefined) return end(503, 'This controller does not lead.\n');
    found.then(
      (read) => end(200, openMetricsText(read), openMetricsType),
      (error: Error) => {
        onProblem(error);
        end(500, "Metrics could not be read; the service's log tells why.\n");
      },
    );
  });
  server.requestTimeout = 10_000;
  server.headersTimeout = 5_000;
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new UsageError(`--metrics-listen ${address}:${port} can't be listened on: ${error.message}`)),
    );
    server.listen(port, address, resolve);
  });
  return server;
}

/** In time that says nothing of either. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
