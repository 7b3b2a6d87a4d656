/** Memcached's text protocol for tests, which look at nodes from outside. */
import { connect } from 'node:net';
import type { Place } from './redis-clients.ts';

const answerLimitMs = 5_000;

/**
 * One exchange on a connection of its own.
 * @param ending what the answer ends with; by default the end of a line.
 */
export function memcached(
  { Address, Port }: Place,
  request: string,
  ending: RegExp = /\r\n$/,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Port!, Address!);
    let reply = '';
    socket.setTimeout(answerLimitMs, () => socket.destroy(new Error(`No answer to ${request}.`)));
    socket.once('error', reject);
    socket.on('data', (chunk) => {
      reply += chunk.toString();
      if (!ending.test(reply)) return;
      socket.destroy();
      resolve(reply);
    });
    socket.write(request);
  });
}
