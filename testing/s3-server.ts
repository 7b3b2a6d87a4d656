/** A real S3-compatible server for tests, and a door before it that can be told to fail. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { ObjectStoreAccess } from '@larder/fleet/object-store/object-store';
import { startFauxqs } from 'fauxqs';

/** What the door does with a request: lets it through, answers itself, or hangs up before or after so many bytes. */
export type Fault =
  | { readonly kind: 'answer'; readonly status: number; readonly code: string }
  | { readonly kind: 'hang-up' }
  | { readonly kind: 'cut-answer'; readonly afterBytes: number }
  | undefined;

export interface TestS3 {
  readonly access: ObjectStoreAccess;
  /** Asked about each request, as `PUT /bucket/key?partNumber=1`; default: none. */
  fault: (asked: string) => Fault;
  /** Every request so far. */
  readonly asked: readonly string[];
  /** Ids of uploads in parts that were begun and neither ended nor taken away. */
  openUploads(): string[];
  makeBucket(name: string): Promise<void>;
  keys(bucket: string): Promise<string[]>;
  read(bucket: string, key: string): Promise<Buffer>;
  put(bucket: string, key: string, body: Buffer): Promise<void>;
  /** Nobody listens any more. */
  goAway(): Promise<void>;
  close(): Promise<void>;
}

export const sha256Of = (data: Buffer) => createHash('sha256').update(data).digest('hex');

const credentials = { accessKeyId: 'test-access', secretAccessKey: 'test-secret' };

export async function startS3(): Promise<TestS3> {
  const real = await startFauxqs({ port: 0, logger: false });
  const asked: string[] = [];
  const open = new Set<string>();
  const door = createServer((incoming, response) => {
    const what = `${incoming.method} ${incoming.url}`;
    asked.push(what);
    const fault = s3.fault(what);
    if (fault?.kind === 'hang-up') return void incoming.socket.destroy();
    if (fault?.kind === 'answer') {
      incoming.resume();
      response.writeHead(fault.status, { 'content-type': 'application/xml' });
      return void response.end(`<Error><Code>${fault.code}</Code><Message>no</Message></Error>`);
    }
    pass(incoming, response, real.port, fault?.afterBytes, (status, body) => note(incoming, status, body));
  });

  /** By what the real server answered. */
  function note({ method, url = '' }: IncomingMessage, status: number, body: string): void {
    if (status >= 300) return;
    const uploadId = new URL(url, 'http://s3').searchParams.get('uploadId');
    const begun = /<UploadId>(.+?)<\/UploadId>/.exec(body)?.[1];
    if (method === 'POST' && uploadId === null && begun !== undefined) open.add(begun);
    if ((method === 'POST' || method === 'DELETE') && uploadId !== null) open.delete(uploadId);
  }

  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
  const { port } = door.address() as AddressInfo;
  const client = new S3Client({
    endpoint: `http://127.0.0.1:${real.port}`,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials,
    requestChecksumCalculation: 'WHEN_REQUIRED',
  });
  const goAway = () =>
    new Promise<void>((resolve) => {
      door.close(() => resolve());
      door.closeAllConnections();
    });
  const s3: TestS3 = {
    access: { endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1', forcePathStyle: true, credentials },
    fault: () => undefined,
    asked,
    openUploads: () => [...open],
    async makeBucket(name) {
      await client.send(new CreateBucketCommand({ Bucket: name }));
    },
    async keys(bucket) {
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
      return Contents.map(({ Key }) => Key!).sort();
    },
    async read(bucket, key) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      return Buffer.from(await Body!.transformToByteArray());
    },
    async put(bucket, key, body) {
      await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
    },
    goAway,
    async close() {
      client.destroy();
      await goAway();
      await real.stop();
    },
  };
  return s3;
}

function pass(
  incoming: IncomingMessage,
  response: ServerResponse,
  port: number,
  cutAfterBytes: number | undefined,
  note: (status: number, body: string) => void,
): void {
  const { method, url, headers } = incoming;
  const onward = request({ host: '127.0.0.1', port, method, path: url, headers }, (answer) => {
    response.writeHead(answer.statusCode!, answer.headers);
    const chunks: Buffer[] = [];
    let sent = 0;
    answer.on('data', (chunk: Buffer) => {
      if (sent < 10_000) chunks.push(chunk);
      if (cutAfterBytes !== undefined && sent + chunk.length > cutAfterBytes) {
        // Let what is sent get there, so that the other side is in the middle of it.
        response.write(chunk.subarray(0, cutAfterBytes - sent), () => response.destroy());
        answer.destroy();
        return;
      }
      sent += chunk.length;
      response.write(chunk);
    });
    answer.once('end', () => {
      note(answer.statusCode!, Buffer.concat(chunks).toString());
      response.end();
    });
  });
  onward.once('error', () => response.destroy());
  incoming.pipe(onward);
}
