/** Sends one request at a time over kept-alive connections, each with a deadline. Thin: it shares the machine. */
import type { IncomingHttpHeaders } from 'node:http';
import { type Dispatcher, Pool } from 'undici';
import type { PageRequest } from './shop-page.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Clock time at which the last byte was here, in milliseconds since 1970. */
  readonly receivedAtMs: number;
}

/** No whole answer: nothing came in time, or the connection failed. */
export class NoAnswer extends Error {
  override name = 'NoAnswer';
  readonly kind: 'timeout' | 'connection';
  constructor(kind: NoAnswer['kind'], options?: ErrorOptions) {
    super(kind === 'timeout' ? 'No answer in time.' : 'The connection failed.', options);
    this.kind = kind;
  }
}

export interface WebClient {
  /**
   * @param deadline on the clock of `performance.now()`.
   * @throws NoAnswer
   */
  send(request: PageRequest, cookies: string | undefined, deadline: number): Promise<Answer>;
  close(): Promise<void>;
}

const sweepEveryMs = 50;

export function webClient(url: string, connections: number): WebClient {
  const pool = new Pool(url, {
    connections,
    pipelining: 1,
    keepAliveTimeout: 30_000,
    connect: { timeout: 5_000 },
  });
  const underWay = new Set<{ deadline: number; abort(): void }>();
  // One timer for all: a timer per request would cost more than some of the pages.
  const sweep = setInterval(() => {
    const now = performance.now();
    for (const one of underWay) if (one.deadline <= now) one.abort();
  }, sweepEveryMs);

  return {
    send(request, cookies, deadline) {
      return new Promise((resolve, reject) => {
        let controller: Dispatcher.DispatchController | undefined;
        let status = 0;
        let headers: IncomingHttpHeaders = {};
        const chunks: Buffer[] = [];
        const entry = {
          deadline,
          abort() {
            underWay.delete(entry);
            reject(new NoAnswer('timeout'));
            controller?.abort(new Error('deadline'));
          },
        };
        underWay.add(entry);
        pool.dispatch(
          {
            method: request.method,
            path: request.path,
            headers: headersOf(request, cookies),
            body: request.form ?? null,
          },
          {
            onRequestStart(started) {
              controller = started;
              // The deadline passed while it waited for a connection: the shop is spared the work.
              if (!underWay.has(entry)) started.abort(new Error('deadline'));
            },
            onResponseStart(_controller, statusCode, received) {
              status = statusCode;
              headers = received;
            },
            onResponseData(_controller, chunk) {
              chunks.push(chunk);
            },
            onResponseEnd() {
              underWay.delete(entry);
              const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
              resolve({ status, headers, body, receivedAtMs: Date.now() });
            },
            onResponseError(_controller, error) {
              underWay.delete(entry);
              reject(new NoAnswer('connection', { cause: error }));
            },
          },
        );
      });
    },
    async close() {
      clearInterval(sweep);
      await pool.destroy();
    },
  };
}

function headersOf(request: PageRequest, cookies: string | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  if (cookies !== undefined) headers.cookie = cookies;
  if (request.form !== undefined) headers['content-type'] = 'application/x-www-form-urlencoded';
  return headers;
}
