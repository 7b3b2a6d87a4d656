/**
 * Messages on the standard input of a program of the operator's. It runs without a shell and without arguments, in an
 * environment of its own; only programs that the service was started with are run.
 */
import { spawn } from 'node:child_process';
import { notificationJson } from './notification.ts';
import type { Sender } from './sender.ts';

export interface CommandOptions {
  /** Absolute paths. */
  readonly allowed: readonly string[];
  readonly searchPath: string;
  readonly timeoutMs?: number;
}

/** More than this and it is ended: nobody reads it. */
const mostOutputBytes = 64 * 1024;
const shownCharacters = 200;

export function commandSender({ allowed, searchPath, timeoutMs = 30_000 }: CommandOptions): Sender {
  return {
    async send(message, subscription, stopping) {
      const program = subscription.endpoint;
      if (!allowed.includes(program)) {
        throw new Error(`The program is not allowed; "larder server --notify-command ${program}" allows it.`);
      }
      await run(program, searchPath, notificationJson(message, subscription), {
        signal: AbortSignal.any([stopping, AbortSignal.timeout(timeoutMs)]),
      });
    },
  };
}

function run(
  program: string,
  searchPath: string,
  input: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  return new Promise((resolve, reject) => {
    // A group of its own, so that what it starts ends with it.
    const child = spawn(program, [], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      shell: false,
      cwd: '/',
      env: { PATH: searchPath },
    });
    let errors = '';
    let outputBytes = 0;
    let killedFor: string | undefined;
    const kill = (because: string) => {
      killedFor ??= because;
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It ended a moment ago.
      }
    };
    const tooLate = () => kill('It did not end in time.');
    signal.addEventListener('abort', tooLate, { once: true });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        outputBytes += chunk.length;
        if (outputBytes > mostOutputBytes) kill(`It printed more than ${mostOutputBytes} bytes.`);
        else if (stream === child.stderr) errors += chunk.toString();
      });
    }
    // A program need not read what it is told.
    child.stdin.on('error', () => undefined);
    child.stdin.end(`${input}\n`);
    child.once('error', (error) => {
      signal.removeEventListener('abort', tooLate);
      reject(new Error(`The program can't be run: ${error.message}`));
    });
    child.once('close', (code) => {
      signal.removeEventListener('abort', tooLate);
      if (killedFor !== undefined) return reject(new Error(killedFor));
      if (code === 0) return resolve();
      const shown = errors.trim().slice(0, shownCharacters);
      reject(new Error(`The program ended with ${code}${shown === '' ? '.' : `: ${shown}`}`));
    });
    if (signal.aborted) tooLate();
  });
}
