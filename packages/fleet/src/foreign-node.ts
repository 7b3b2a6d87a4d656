/** Asks a node that is not ours who it is: one question on a connection of its own, bounded in time and size. */
import { connect } from 'node:net';
import { compareVersions, type EngineName } from '@larder/engine/engine';
import { parseInfo } from '@larder/engine/info';

export interface ForeignNode {
  readonly engine: EngineName;
  readonly version: string;
  readonly runId: string;
  readonly role: 'primary' | 'replica';
  readonly clusterEnabled: boolean;
  readonly loading: boolean;
  /** How far its history of writes goes. */
  readonly offset: number;
}

/** It can't be reached, or did not answer as a Valkey or Redis without a password does. The message says which. */
export class ForeignNodeFault extends Error {
  override name = 'ForeignNodeFault';
}

const timeoutMs = 2_000;
const longestReplyBytes = 256 * 1_024;

/** @throws ForeignNodeFault after at most two seconds. */
export async function askForeignNode(address: string, port: number): Promise<ForeignNode> {
  const text = await info(address, port);
  const { runId, version, loading, replication } = parseInfo(text);
  const field = (name: string) => new RegExp(`^${name}:(.*)$`, 'm').exec(text)?.[1]?.trim();
  if (runId === '' || version === '' || field('role') === undefined) {
    throw new ForeignNodeFault(`${address}:${port} does not answer as Valkey or Redis does.`);
  }
  return {
    engine: field('valkey_version') === undefined ? 'redis' : 'valkey',
    version,
    runId,
    role: replication.role,
    clusterEnabled: field('cluster_enabled') === '1',
    loading,
    offset: replication.offset,
  };
}

function info(address: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port });
    const chunks: Buffer[] = [];
    let size = 0;
    const fail = (why: string) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new ForeignNodeFault(`${address}:${port} ${why}`));
    };
    const timer = setTimeout(() => fail(`did not answer within ${timeoutMs / 1_000} s.`), timeoutMs);
    socket.once('error', (error) => fail(`can't be reached: ${error.message}`));
    socket.once('close', () => fail('hung up without an answer; it may want TLS.'));
    socket.once('connect', () => socket.write('*1\r\n$4\r\nINFO\r\n'));
    socket.on('data', (chunk) => {
      size += chunk.length;
      if (size > longestReplyBytes) return fail('does not answer as Valkey or Redis does.');
      chunks.push(chunk);
      const reply = Buffer.concat(chunks).toString('latin1');
      const lineEnd = reply.indexOf('\r\n');
      if (lineEnd < 0) return;
      if (/^-(NOAUTH|DENIED|NOPERM)/.test(reply)) {
        return fail('wants a password; the source of a migration must let replicas in without one.');
      }
      const length = /^\$(\d{1,6})\r\n/.exec(reply)?.[1];
      if (length === undefined) return fail('does not answer as Valkey or Redis does.');
      const body = reply.slice(lineEnd + 2);
      if (body.length < Number(length) + 2) return;
      clearTimeout(timer);
      socket.removeAllListeners('close');
      socket.destroy();
      resolve(body.slice(0, Number(length)));
    });
  });
}

/** The format in which an engine sends its data, by the first version that has it; newest first. */
const dataFormats = {
  redis: [
    ['7.4', 12],
    ['7.2', 11],
    ['7.0', 10],
    ['5.0', 9],
  ],
  valkey: [
    ['9.0', 80],
    ['7.2', 11],
  ],
} as const;

/** Redis' formats from here on are its own: Valkey refuses them. */
const firstOfRedisAlone = 12;

/** Whether a replica of `engine` in `version` can take on what `source` sends. */
export function canFollow(
  { engine, version }: { readonly engine: 'valkey' | 'redis'; readonly version: string },
  source: Pick<ForeignNode, 'engine' | 'version'>,
): boolean {
  if (source.engine === 'memcached') return false;
  const sent = dataFormat(source.engine, source.version);
  const own = dataFormat(engine, version);
  if (sent === undefined || own === undefined || sent > own) return false;
  return engine !== 'valkey' || source.engine === 'valkey' || sent < firstOfRedisAlone;
}

function dataFormat(engine: 'valkey' | 'redis', version: string): number | undefined {
  return dataFormats[engine].find(([since]) => compareVersions(version, since) >= 0)?.[1];
}
