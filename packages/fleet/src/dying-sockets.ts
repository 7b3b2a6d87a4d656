/**
 * Clients of a process that is dying hear of it only when the kernel has freed its memory, about 70 ms per GB, and as
 * long its addresses can't be listened on. Where we may, we end its sockets ourselves.
 */
import { spawn } from 'node:child_process';

/** Well above what it takes; a stuck one must not hold up a failover. */
const limitMs = 500;

/**
 * Ends every TCP socket of these local addresses and ports, the listening ones too: by the kernel's SOCK_DESTROY, which
 * needs root, `ss` and a kernel that has it. Without one of these nothing happens. Resolves when it is done, in any case:
 * nothing that listens there later is touched any more.
 */
export function endSockets(addresses: readonly string[], ports: readonly number[]): Promise<void> {
  const either = (words: readonly (readonly string[])[]) => [
    '(',
    ...words.flatMap((each, index) => (index === 0 ? each : ['or', ...each])),
    ')',
  ];
  const filter = [
    ...either(addresses.map((address) => ['src', address])),
    'and',
    ...either(ports.map((port) => ['sport', '=', `:${port}`])),
  ];
  return new Promise((resolve) => {
    const child = spawn('ss', ['-K', '-H', '-n', '-t', '-a', ...filter], { stdio: 'ignore' });
    const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    child.once('error', done);
    child.once('exit', done);
  });
}
