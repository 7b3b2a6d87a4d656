/**
 * Clients of a process that is dying hear of it only when the kernel has freed its memory, about 70 ms per GB, and as
 * long its addresses can't be listened on. Where we may, we end its sockets ourselves.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';

/** Well above what it takes; a stuck one must not hold up a failover. */
const limitMs = 500;
/** Whoever takes over has begun by then: to make another process in the middle of it would delay that. */
const nextAfterMs = 1_000;
/** Waits for the filter and becomes `ss`; ends with whoever it waits for. */
const script = 'set -f; read -r filter && exec ss -K -H -n -t -a $filter';

export interface SocketEnder {
  /**
   * Ends every TCP socket of these local addresses and ports, the listening ones too: by the kernel's SOCK_DESTROY,
   * which needs root, `ss` and a kernel that has it. Without one of these nothing happens. Resolves when it is done, in
   * any case: nothing that listens there later is touched any more.
   */
  end(addresses: readonly string[], ports: readonly number[]): Promise<void>;
  close(): void;
}

/** Keeps a process at the ready: making one takes several milliseconds, in which nothing else here goes on. */
export function socketEnder(): SocketEnder {
  let ready: ChildProcess | undefined = prepare();
  let timer: NodeJS.Timeout | undefined;

  function take(): ChildProcess {
    const taken = ready ?? prepare();
    ready = undefined;
    timer ??= setTimeout(() => {
      timer = undefined;
      ready ??= prepare();
    }, nextAfterMs).unref();
    return taken;
  }

  return {
    end(addresses, ports) {
      const child = take();
      return new Promise((resolve) => {
        const limit = setTimeout(() => child.kill('SIGKILL'), limitMs);
        const done = () => {
          clearTimeout(limit);
          resolve();
        };
        if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return done();
        child.once('exit', done);
        child.stdin?.end(`${filterOf(addresses, ports)}\n`);
      });
    },
    close() {
      clearTimeout(timer);
      ready?.stdin?.end();
    },
  };
}

function prepare(): ChildProcess {
  const child = spawn('/bin/sh', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore'] });
  // One that could not be made, or ended by itself, is found to have ended when it is wanted.
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  child.unref();
  (child.stdin as Socket).unref();
  return child;
}

function filterOf(addresses: readonly string[], ports: readonly number[]): string {
  const source = addresses.map((address) => `src ${address}`).join(' or ');
  const port = ports.map((each) => `sport = :${each}`).join(' or ');
  return `( ${source} ) and ( ${port} )`;
}
