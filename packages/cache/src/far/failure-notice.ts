/**
 * The error of a failed load, for readers in other processes who waited for it: they fail with it instead of
 * trying one after the other what has just failed. Pure.
 */

const maxNoticeLength = 300;

/** `X <owner> <length of the key> <key> <error's name>: <its message>` */
export function failureNotice(fullKey: string, owner: string, error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : 'The loader threw no error.';
  return `X ${owner} ${fullKey.length} ${fullKey} ${text.slice(0, maxNoticeLength)}`;
}

export interface LoadFailure {
  readonly owner: string;
  readonly key: string;
  readonly message: string;
}

/** @returns undefined for what is no such notice. */
export function parseFailureNotice(text: string): LoadFailure | undefined {
  const match = /^X (\S{1,64}) (\d{1,6}) /.exec(text);
  if (match === null) return undefined;
  const start = match[0].length;
  const end = start + Number(match[2]);
  if (text[end] !== ' ') return undefined;
  return { owner: match[1]!, key: text.slice(start, end), message: text.slice(end + 1) };
}
