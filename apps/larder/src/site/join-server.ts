/**
 * Where machines join: HTTPS, with a certificate of the fleet's own authority. `GET /authority` tells its certificate,
 * which who joins compares with the token's fingerprint; `POST /join` takes a machine in.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { type JoinAnswer, JoinRefused } from '@larder/control/host/join';
import type { Logger } from '@larder/control/reconciler/logger';
import { bodyText } from '@larder/fleet/request-body';
import { type Authority, SigningRequestInvalid } from '@larder/fleet/tls/authority';

export interface JoinServerOptions {
  readonly listen: { readonly address: string; readonly port: number };
  readonly authority: Authority;
  /** @throws JoinRefused */
  readonly join: (body: unknown) => Promise<JoinAnswer>;
  readonly logger: Logger;
}

const maxBodyBytes = 64 * 1_024;
const requestTimeoutMs = 10_000;
const maxConnections = 100;
const certificateLifeMs = 365 * 24 * 3_600_000;

/** Resolves when it listens. */
export async function joinServer(options: JoinServerOptions): Promise<{ close(): void }> {
  const { listen, authority, logger } = options;
  const { certificatePem, keyPem } = await authority.issue({
    commonName: 'larder',
    addresses: [listen.address],
    dnsNames: [],
    lifeMs: certificateLifeMs,
  });
  const server = createServer({ cert: certificatePem, key: keyPem }, (request, response) => {
    answer(request, response).catch((error: Error) => refuse(response, error));
  });
  server.requestTimeout = requestTimeoutMs;
  server.maxConnections = maxConnections;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'GET' && request.url === '/authority') {
      return void response
        .writeHead(200, { 'content-type': 'application/x-pem-file' })
        .end(authority.certificatePem);
    }
    if (request.method !== 'POST' || request.url !== '/join') return void response.writeHead(404).end();
    const joined = await options.join(await bodyOf(request));
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(joined));
  }

  function refuse(response: ServerResponse, error: Error): void {
    const expected = [JoinRefused, SigningRequestInvalid, SyntaxError].some((kind) => error instanceof kind);
    if (!expected) logger.error({ error }, 'A machine could not join.');
    const message = expected ? error.message : 'Something went wrong at the service; its log says what.';
    response
      .writeHead(expected ? 400 : 500, { 'content-type': 'application/json' })
      .end(JSON.stringify({ message }));
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: listen.address, port: listen.port }, resolve);
  });
  return {
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const tooLong = () => new JoinRefused('A request to join is too long.');
  const value = JSON.parse(await bodyText(request, maxBodyBytes, tooLong)) as unknown;
  if (typeof value !== 'object' || value === null) throw new JoinRefused('A request to join is an object.');
  return value;
}
