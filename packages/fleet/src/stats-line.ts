/** A connection to a Memcached node that is kept open for its statistics: with TLS a new one each second would cost more than all else. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { NodeUnreachable } from './host.ts';
import type { OwnConnectionCounter } from './own-connections.ts';

const limitMs = 500;
const mostCharacters = 65_536;
const end = 'END\r\n';

export interface StatsLine {
  /** The reply of `stats`. One at a time. @throws NodeUnreachable when none comes within half a second. */
  ask(): Promise<string>;
  close(): void;
}

export interface StatsLineOptions {
  readonly address: string;
  readonly port: number;
  readonly tls: boolean;
  readonly own: OwnConnectionCounter;
}

export function statsLine({ address, port, tls, own }: StatsLineOptions): StatsLine {
  let socket: Socket | undefined;
  let reply = '';
  let settle: ((error?: Error) => void) | undefined;

  const unreachable = (what: string) => new NodeUnreachable(`Memcached on ${address}:${port} ${what}.`);

  function open(): Socket {
    // It is our own node's address, on this machine: there is nobody to mistake it for.
    const opened = tls
      ? connectTls({ host: address, port, rejectUnauthorized: false })
      : connect(port, address);
    let counted = false;
    opened.setNoDelay(true);
    opened.once('connect', () => {
      counted = true;
      own.count(1);
    });
    opened.on('error', () => {});
    opened.once('close', () => {
      if (counted) own.count(-1);
      if (socket !== opened) return;
      socket = undefined;
      settle?.(unreachable('hung up'));
    });
    opened.on('data', (chunk: Buffer) => {
      reply += chunk.toString('latin1');
      if (reply.length > mostCharacters) settle?.(unreachable('said more than statistics'));
      else if (reply.endsWith(end) || /^\w*ERROR[^\n]*\n$/.test(reply)) settle?.();
    });
    return opened;
  }

  function hangUp(): void {
    const last = socket;
    socket = undefined;
    last?.destroy();
  }

  return {
    ask() {
      if (settle !== undefined) return Promise.reject(unreachable('is being asked already'));
      socket ??= open();
      reply = '';
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => settle?.(unreachable('did not answer')), limitMs);
        settle = (error) => {
          settle = undefined;
          clearTimeout(timer);
          if (error === undefined) return resolve(reply);
          // What it may still answer would be taken for the next one's.
          hangUp();
          reject(error);
        };
        // Written as soon as it is connected.
        socket!.write('stats\r\n');
      });
    },
    close() {
      hangUp();
      settle?.(unreachable('is not watched any more'));
    },
  };
}
