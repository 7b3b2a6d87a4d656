/** A client on one of a test's machines: it writes without pause to one address, and tells what it was answered last. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { TestMachine } from './host-network.ts';

export interface InsideWriter {
  /** Each attempt that ended: when, and `OK` or what was refused. Times are of a clock that all processes share. */
  readonly answers: readonly { readonly atMs: number; readonly text: string }[];
  stop(): void;
}

/** Plain Node and the engine's own protocol: what runs there needs nothing of ours. */
const program = `
const net = require('node:net');
const [host, port, tag] = process.argv.slice(1);
const now = () => Number(process.hrtime.bigint() / 1000n) / 1000;
const say = (text) => process.stdout.write(now() + ' ' + text + '\\n');
let n = 0;
function run() {
  const socket = net.connect(Number(port), host);
  let open = true;
  const over = (why) => { if (!open) return; open = false; socket.destroy(); say(why); setTimeout(run, 10); };
  const write = () => { n += 1; const v = '{' + tag + '}inside:' + n; socket.write('SET ' + v + ' ' + v + '\\r\\n'); };
  socket.setTimeout(1000, () => over('no answer'));
  socket.on('connect', write);
  socket.on('error', (error) => over(error.code));
  socket.on('close', () => over('closed'));
  socket.on('data', (data) => { say(data[0] === 43 ? 'OK inside:' + n : data.toString().split('\\r')[0]); setTimeout(() => open && write(), 5); });
}
run();
`.replaceAll('\\\\', '\\');

/** @param tag whose slot is the node's, with cluster mode. */
export function insideWriter(
  machine: Pick<TestMachine, 'prefix'>,
  address: string,
  port = 6379,
  tag = 'beside',
): InsideWriter {
  const [file, ...prefix] = machine.prefix;
  const child: ChildProcess = spawn(
    file!,
    [...prefix, process.execPath, '-e', program, address, String(port), tag],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const answers: { atMs: number; text: string }[] = [];
  let rest = '';
  child.stdout!.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const at = line.indexOf(' ');
      answers.push({ atMs: Number(line.slice(0, at)), text: line.slice(at + 1) });
    }
  });
  return { answers, stop: () => child.kill('SIGKILL') };
}
