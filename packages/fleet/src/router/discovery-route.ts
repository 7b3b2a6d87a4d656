/** Memcached's configuration endpoint: answers who the nodes are, and is one of them for everything else. */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { terminateTls } from './certificate-files.ts';
import { type Connection, chunksOf, connections, connectToFirst, endTogether, send } from './connections.ts';
import { FenceScanner } from './fence.ts';
import { MemcachedSkimmer, type Question } from './memcached-skimmer.ts';
import type { RouteContext, RouteService } from './route-service.ts';
import { type DiscoveryRoute, targetsOf } from './route-table.ts';

/** The answer to one of the two questions. */
export function renderNodeList({ configVersion, nodes }: DiscoveryRoute, form: Question): Buffer {
  const list = [...nodes]
    .sort((one, other) => (one.host < other.host ? -1 : 1))
    .map(({ host, ip, port }) => `${host}|${ip}|${port}`)
    .join(' ');
  const text = `${configVersion}\n${list}\n`;
  const name = form === 'config' ? 'CONFIG cluster' : 'VALUE AmazonElastiCache:cluster';
  return Buffer.from(`${name} 0 ${Buffer.byteLength(text)}\r\n${text}\r\nEND\r\n`);
}

/** Questions sent ahead of their answers; a client has one at a time. */
const maxWaiting = 1_000;

/** @param first all later ones have a certificate as it has, or none. */
export async function discoveryService(
  first: DiscoveryRoute,
  { onProblem }: RouteContext,
): Promise<RouteService<DiscoveryRoute>> {
  const open = connections();
  let route = first;
  let answers = answersOf(first);
  let configGets = 0;
  const { certificate } = first;
  const tls = certificate && (await terminateTls({ files: certificate, onSecure: begin, onProblem }));

  function begin(client: Socket): void {
    serve(open.add(client)).catch(() => client.destroy());
  }

  async function serve(connection: Connection): Promise<void> {
    const { client } = connection;
    const skimmer = new MemcachedSkimmer();
    const scanner = new FenceScanner();
    let node: Socket | undefined;
    for await (const chunk of chunksOf(client)) {
      for (const piece of skimmer.feed(chunk)) {
        if (piece.kind === 'pass') {
          node ??= await leadToNode(connection, scanner);
          if (node === undefined) return;
          await send(node, piece.bytes);
          continue;
        }
        configGets += 1;
        const answer = answers[piece.form];
        if (node === undefined) {
          await send(client, answer);
          continue;
        }
        if (scanner.waiting >= maxWaiting) return void client.destroy();
        const { command, mark } = makeFence();
        scanner.expect(mark, answer);
        await send(node, command);
      }
    }
    (node ?? client).end();
  }

  async function leadToNode(connection: Connection, scanner: FenceScanner): Promise<Socket | undefined> {
    const { client } = connection;
    const node = await open.lead(connection, () => connectToFirst(route.targets));
    if (node === undefined) return undefined;
    endTogether(client, node);
    void answerFrom(node);
    return node;

    async function answerFrom(socket: Socket): Promise<void> {
      for await (const chunk of chunksOf(socket)) {
        for (const bytes of scanner.feed(chunk)) await send(client, bytes);
      }
      client.end();
    }
  }

  return {
    accept: (socket) => (tls === undefined ? begin(socket) : tls.accept(socket)),
    async prepare(next) {
      const useCertificate = next.certificate && (await tls?.read(next.certificate));
      return () => {
        useCertificate?.();
        route = next;
        answers = answersOf(next);
        open.keepOnly(targetsOf(next));
      };
    },
    counters: () => ({ connections: open.open, totalConnections: open.total, configGets }),
    close() {
      tls?.close();
      open.closeAll();
    },
  };
}

function answersOf(route: DiscoveryRoute): Readonly<Record<Question, Buffer>> {
  return { config: renderNodeList(route, 'config'), value: renderNodeList(route, 'value') };
}

/**
 * Deletes what isn't there. Memcached repeats the opaque in its answer, so that nothing in the stream can be taken for
 * it by chance, nor by a client's will.
 */
function makeFence(): { readonly command: Buffer; readonly mark: Buffer } {
  const opaque = randomBytes(15).toString('hex');
  return {
    command: Buffer.from(`md larder:${randomBytes(15).toString('hex')} O${opaque}\r\n`),
    mark: Buffer.from(`NF O${opaque}\r\n`),
  };
}
