/** What a command answers, before it is turned into what a client library gives or what a script sees. */

/** A simple string such as OK. */
export class Status {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** An error reply. `message` begins with its code: `ERR`, `WRONGTYPE`, `NOSCRIPT`, `READONLY`, … */
export class EngineError extends Error {
  override readonly name = 'EngineError';
}

export type Reply = null | number | Buffer | Status | readonly Reply[];

export const ok = new Status('OK');

/** As drivers give it: bulk and simple strings as text. */
export function toDriver(reply: Reply): unknown {
  if (reply === null || typeof reply === 'number') return reply;
  if (reply instanceof Status) return reply.text;
  if (Buffer.isBuffer(reply)) return reply.toString('utf8');
  return (reply as readonly Reply[]).map(toDriver);
}

export function wrongType(): EngineError {
  return new EngineError('WRONGTYPE Operation against a key holding the wrong kind of value');
}

export function syntaxError(): EngineError {
  return new EngineError('ERR syntax error');
}

export function wrongArguments(command: string): EngineError {
  return new EngineError(`ERR wrong number of arguments for '${command.toLowerCase()}' command`);
}
