/** One agent as others reach it: requests over mutual TLS on connections that are kept. */
import { Agent, request } from 'node:https';
import { type ErrorBody, errorOf } from './host-calls.ts';

export interface Credentials {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly authorityPem: string;
}

/** The agent did not answer: whether it did what it was asked is not known. */
export class AgentSilent extends Error {
  override name = 'AgentSilent';
}

export interface AgentClient {
  /** @throws AgentSilent, or what the agent threw. */
  send(method: string, path: string, body: unknown, limits: RequestLimits): Promise<unknown>;
  /** Calls `onLine` for each line of an answer that never ends. Resolves when it ended or was silent for too long. */
  stream(path: string, onLine: (line: string) => void, silenceMs: number): Promise<void>;
  close(): void;
}

export interface RequestLimits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

const maxAnswerBytes = 64 * 2 ** 20;

export function agentClient(url: string, { certificatePem, keyPem, authorityPem }: Credentials): AgentClient {
  const tls = { cert: certificatePem, key: keyPem, ca: authorityPem };
  const agent = new Agent({ keepAlive: true, maxSockets: 32, ...tls });

  return {
    send(method, path, body, { timeoutMs, signal }) {
      return new Promise((resolve, reject) => {
        const silent = (error: Error) =>
          reject(new AgentSilent(`${url} does not answer: ${error.message}`, { cause: error }));
        const asking = request(
          new URL(path, url),
          { method, agent, ...(signal && { signal }) },
          (response) => {
            const chunks: Buffer[] = [];
            let bytes = 0;
            response.on('data', (chunk: Buffer) => {
              bytes += chunk.length;
              if (bytes > maxAnswerBytes) return void response.destroy(new Error('the answer is too long'));
              chunks.push(chunk);
            });
            response.once('error', silent);
            response.once('end', () => {
              clearTimeout(timer);
              const text = Buffer.concat(chunks).toString();
              try {
                const value = text === '' ? undefined : (JSON.parse(text) as unknown);
                if ((response.statusCode ?? 500) < 300) resolve(value);
                else reject(errorOf(value as ErrorBody));
              } catch (error) {
                silent(error as Error);
              }
            });
          },
        );
        // Of the whole exchange, also of one that comes byte by byte.
        const timer = setTimeout(
          () => asking.destroy(new Error(`nothing within ${timeoutMs} ms`)),
          timeoutMs,
        );
        asking.once('error', (error) => {
          clearTimeout(timer);
          silent(error);
        });
        asking.end(body === undefined ? undefined : JSON.stringify(body));
      });
    },
    stream(path, onLine, silenceMs) {
      return new Promise((resolve) => {
        const asking = request(new URL(path, url), { ...tls, agent: false }, (response) => {
          let rest = '';
          response.on('data', (chunk: Buffer) => {
            const lines = (rest + chunk.toString()).split('\n');
            rest = lines.pop() ?? '';
            for (const line of lines) if (line !== '') onLine(line);
          });
          response.once('close', resolve);
        });
        asking.setTimeout(silenceMs, () => asking.destroy());
        asking.once('error', () => resolve());
        asking.once('close', () => resolve());
        asking.end();
      });
    },
    close: () => agent.destroy(),
  };
}
