/** (pure) Answers as Valkey and Redis write them, in either version of the protocol. */

export type Reply =
  | string
  | number
  | null
  | Reply[]
  | { readonly simple: string }
  | { readonly error: string }
  /** An array of names and values in RESP2. */
  | { readonly map: readonly (readonly [string, Reply])[] }
  /** Out of turn: a message, or the answer to a subscription. An array in RESP2. */
  | { readonly push: readonly Reply[] }
  /** "nothing here" where an array was asked for. */
  | { readonly nothing: 'array' };

export type RespVersion = 2 | 3;

export function encodeReply(reply: Reply, version: RespVersion): string {
  if (reply === null) return version === 3 ? '_\r\n' : '$-1\r\n';
  if (typeof reply === 'string') return `$${Buffer.byteLength(reply)}\r\n${reply}\r\n`;
  if (typeof reply === 'number') return `:${reply}\r\n`;
  const list = (mark: string, items: readonly Reply[], count = items.length) =>
    `${mark}${count}\r\n${items.map((each) => encodeReply(each, version)).join('')}`;
  if (Array.isArray(reply)) return list('*', reply);
  if ('simple' in reply) return `+${oneLine(reply.simple)}\r\n`;
  if ('error' in reply) return `-${oneLine(reply.error)}\r\n`;
  if ('nothing' in reply) return version === 3 ? '_\r\n' : '*-1\r\n';
  if ('push' in reply) return list(version === 3 ? '>' : '*', reply.push);
  const flat = reply.map.flat();
  return version === 3 ? list('%', flat, reply.map.length) : list('*', flat);
}

/** It may hold words of the client's. */
function oneLine(text: string): string {
  return text.replace(/[\r\n]/g, ' ');
}
