/** Asks one engine whether it lives, over connections of its own. Whatever it answers, it lives. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { serviceUserName } from '@larder/engine/acl';
import { adminSocketPath } from '../admin-connection.ts';
import type { Incarnation } from '../host.ts';
import { probePeriodMs, scriptLimitMs } from './limits.ts';

/** What can be sent to another thread. */
export interface ProbeTarget {
  readonly nodeId: string;
  readonly incarnation: Incarnation;
  readonly place:
    | { readonly kind: 'admin-socket'; readonly folder: string; readonly password: string }
    | { readonly kind: 'memcached'; readonly address: string; readonly port: number; readonly tls: boolean };
}

export interface Probe {
  /** Asks again, unless an answer is awaited. */
  ask(nowMs: number): void;
  /** When the question was sent that has no answer yet. */
  readonly unansweredSinceMs: number | undefined;
  /** Its connection was answered before. */
  readonly proven: boolean;
  /** It runs a script that can't be ended, since then. */
  readonly unkillableSinceMs: number | undefined;
  close(): void;
}

/** @param onConnection told when it opened a connection (1) and when one ended (-1). */
export function probe(
  { place }: ProbeTarget,
  now: () => number,
  onConnection: (change: 1 | -1) => void = () => {},
): Probe {
  return place.kind === 'memcached'
    ? memcachedProbe(place, now, onConnection)
    : engineProbe(place, now, onConnection);
}

function memcachedProbe(
  { address, port, tls }: ProbeTarget['place'] & { kind: 'memcached' },
  now: () => number,
  onConnection: (change: 1 | -1) => void,
): Probe {
  const open = () =>
    tls ? connectTls({ host: address, port, rejectUnauthorized: false }) : connect(port, address);
  const line = askingLine({
    open,
    ready: tls ? 'secureConnect' : 'connect',
    greeting: '',
    onText() {},
    now,
    onConnection,
  });
  return {
    ask: () => line.ask('version\r\n'),
    get unansweredSinceMs() {
      return line.unansweredSinceMs;
    },
    get proven() {
      return line.proven;
    },
    unkillableSinceMs: undefined,
    close: () => line.close(),
  };
}

function engineProbe(
  { folder, password }: ProbeTarget['place'] & { kind: 'admin-socket' },
  now: () => number,
  onConnection: (change: 1 | -1) => void,
): Probe {
  const socket = adminSocketPath(folder);
  const open = () => connect(socket.path);
  let busySinceMs: number | undefined;
  let unkillable = false;

  function onText(text: string): void {
    if (text.includes('-BUSY')) busySinceMs ??= now();
    if (text.includes('-UNKILLABLE')) unkillable = true;
    // It serves, or will soon. An answer to SCRIPT KILL alone says nothing of the kind.
    if (/\+PONG|-LOADING|-MASTERDOWN/.test(text)) {
      busySinceMs = undefined;
      unkillable = false;
    }
  }
  const greeting = command('AUTH', serviceUserName, password);
  const first = askingLine({ open, ready: 'connect', greeting, onText, now, onConnection });
  // Clients may pause an engine (CLIENT PAUSE): it then takes up no command. One with too many words it refuses before
  // that, on a connection where none is held up. It is asked only in a silence: each refusal counts in its statistics.
  let second: AskingLine | undefined;
  let heardMs = Number.NEGATIVE_INFINITY;

  function endSecond(): void {
    second?.close();
    second = undefined;
  }

  return {
    ask(nowMs) {
      const since = first.unansweredSinceMs;
      if (busySinceMs !== undefined && nowMs - busySinceMs > scriptLimitMs) {
        first.send(command('SCRIPT', 'KILL') + command('FUNCTION', 'KILL'));
      }
      first.ask(command('PING'));
      if (since === undefined) return endSecond();
      if (nowMs - since < probePeriodMs / 2) return;
      second ??= askingLine({
        open,
        ready: 'connect',
        greeting: '',
        onText() {
          heardMs = now();
        },
        now,
        onConnection,
      });
      second.ask(command('PING', 'too', 'many'));
    },
    get unansweredSinceMs() {
      const since = first.unansweredSinceMs;
      return since === undefined ? undefined : Math.max(since, heardMs);
    },
    get proven() {
      return first.proven;
    },
    get unkillableSinceMs() {
      return unkillable ? busySinceMs : undefined;
    },
    close() {
      first.close();
      endSecond();
      socket.close();
    },
  };
}

interface AskingLine {
  /** Connects when there is no connection, which is an answer by itself when it fails: nobody listens yet or any more. */
  ask(text: string): void;
  /** Only when connected; its answer is not awaited. */
  send(text: string): void;
  readonly unansweredSinceMs: number | undefined;
  readonly proven: boolean;
  close(): void;
}

function askingLine(options: {
  readonly open: () => Socket;
  readonly ready: 'connect' | 'secureConnect';
  readonly greeting: string;
  readonly onText: (text: string) => void;
  readonly now: () => number;
  readonly onConnection: (change: 1 | -1) => void;
}): AskingLine {
  let socket: Socket | undefined;
  let connected = false;
  let proven = false;
  let unansweredSinceMs: number | undefined;

  function begin(text: string): void {
    const opened = options.open();
    socket = opened;
    let counted = false;
    opened.once('connect', () => {
      counted = true;
      options.onConnection(1);
    });
    const gone = () => {
      opened.destroy();
      if (counted) options.onConnection(-1);
      counted = false;
      if (socket !== opened) return;
      socket = undefined;
      connected = false;
      proven = false;
      unansweredSinceMs = undefined;
    };
    opened.on('error', gone).on('close', gone);
    opened.once(options.ready, () => {
      connected = true;
      unansweredSinceMs = options.now();
      opened.write(options.greeting + text);
    });
    opened.on('data', (chunk: Buffer) => {
      proven = true;
      unansweredSinceMs = undefined;
      options.onText(chunk.toString('latin1'));
    });
  }

  return {
    ask(text) {
      if (socket === undefined) return begin(text);
      if (!connected || unansweredSinceMs !== undefined) return;
      unansweredSinceMs = options.now();
      socket.write(text);
    },
    send(text) {
      if (connected) socket!.write(text);
    },
    get unansweredSinceMs() {
      return unansweredSinceMs;
    },
    get proven() {
      return proven;
    },
    close() {
      const last = socket;
      socket = undefined;
      last?.destroy();
    },
  };
}

function command(...words: string[]): string {
  const bulks = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return `*${words.length}\r\n${bulks.join('')}`;
}
