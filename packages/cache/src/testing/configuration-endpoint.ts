/** Plays ElastiCache's configuration endpoint, which memcached itself doesn't have. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { NodeAddress } from '../driver/driver.ts';

export interface ConfigurationEndpoint {
  readonly address: NodeAddress;
  readonly server: Server;
  /** What it answers to `command`; undefined: ERROR. */
  answer: (command: string) => string | undefined;
  asked: number;
  readonly sockets: Set<Socket>;
}

export async function startConfigurationEndpoint(): Promise<ConfigurationEndpoint> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    let rest = '';
    socket.on('data', (chunk) => {
      const lines = (rest + chunk.toString()).split('\r\n');
      rest = lines.pop()!;
      for (const line of lines) {
        if (line === 'mn') socket.write('MN\r\n');
        else {
          endpoint.asked += 1;
          socket.write(endpoint.answer(line) ?? 'ERROR\r\n');
        }
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const endpoint: ConfigurationEndpoint = {
    address: { host: '127.0.0.1', port },
    server,
    answer: () => undefined,
    asked: 0,
    sockets,
  };
  return endpoint;
}

/** A node list as the endpoint words it. */
export function nodeList(version: number, nodes: readonly NodeAddress[]): string {
  return `${version}\n${nodes.map(({ host, port }) => `${host}|${host}|${port}`).join(' ')}\n`;
}

/** Answers `config get cluster`. */
export const answerConfig = (text: string) => (line: string) =>
  line === 'config get cluster' ? `CONFIG cluster 0 ${text.length}\r\n${text}\r\nEND\r\n` : undefined;
/** Answers as engines before 1.4.14. */
export const answerOlder = (text: string) => (line: string) =>
  line === 'get AmazonElastiCache:cluster'
    ? `VALUE AmazonElastiCache:cluster 0 ${text.length}\r\n${text}\r\nEND\r\n`
    : undefined;
