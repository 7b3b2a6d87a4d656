/** Signed requests as bytes: for what an SDK would not send, and to measure the service without an SDK's own work. */
import { Agent, request as httpRequest } from 'node:http';
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import type { Access } from './larder.ts';

export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly contentType: string | undefined;
  /** `X-Amz-Target`, of services that speak JSON. */
  readonly target?: string;
  /** Others, in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly signed: boolean;
}

export interface RawAnswer {
  readonly status: number;
  readonly body: string;
  /** `x-amzn-RequestId` */
  readonly requestId: string | undefined;
  /** From the first byte sent to the last one read; without the signing. */
  readonly tookMs: number;
}

/** @param connections kept open, at most. @param service that the requests are signed for. */
export function signedSender(
  access: Access,
  connections: number,
  service = 'elasticache',
): (request: RawRequest) => Promise<RawAnswer> {
  const { hostname, port } = new URL(access.endpoint);
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const signer = new SignatureV4({
    credentials: access,
    region: access.region,
    service,
    sha256: Sha256,
    applyChecksum: false,
  });
  return async ({ method, path, contentType, target, headers: others, body, signed }) => {
    const url = new URL(`http://x${path}`);
    const headers: Record<string, string> = { ...others, host: `${hostname}:${port}` };
    if (contentType !== undefined) headers['content-type'] = contentType;
    if (target !== undefined) headers['x-amz-target'] = target;
    const sent = signed
      ? await signer.sign({
          method,
          protocol: 'http:',
          hostname,
          path: url.pathname,
          query: Object.fromEntries(url.searchParams),
          headers,
          body,
        })
      : { headers };
    const beganAtMs = performance.now();
    return new Promise((resolve, reject) => {
      const request = httpRequest(
        { hostname, port, agent, method, path: url.pathname + url.search, headers: sent.headers },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            text += chunk;
          });
          response.on('end', () =>
            resolve({
              status: response.statusCode!,
              body: text,
              requestId: response.headers['x-amzn-requestid']?.toString(),
              tookMs: performance.now() - beganAtMs,
            }),
          );
          response.on('error', reject);
        },
      );
      request.on('error', reject);
      request.end(body);
    });
  };
}
