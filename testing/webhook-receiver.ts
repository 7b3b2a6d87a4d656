/** Somewhere for webhooks to go, that keeps what it is sent. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface WebhookRequest {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface WebhookReceiver {
  readonly url: string;
  readonly received: readonly WebhookRequest[];
  close(): void;
}

/** @param answers whether the request of that number, from 1 on, is answered with 200; it is left hanging otherwise. */
export async function webhookReceiver(
  answers: (count: number) => boolean | Promise<boolean> = () => true,
): Promise<WebhookReceiver> {
  const received: WebhookRequest[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', async () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      if (await answers(received.length)) response.writeHead(200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    received,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
