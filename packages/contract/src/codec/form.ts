/** `application/x-www-form-urlencoded`, as AWS clients send it, from senders that may be hostile. */
import { serviceError } from '../errors.ts';

/** Of a request's body as it is sent. */
export const MAX_BODY_BYTES = 1024 * 1024;
export const MAX_PAIRS = 10_000;
/** Longest decoded key: several times the longest path in the model. */
export const MAX_KEY_LENGTH = 1024;

export type Pair = readonly [key: string, value: string];

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Splits a form body into its pairs, in order, keys and values decoded. `+` and `%20` are both a space. A pair
 * without `=` has an empty value; an empty pair (`a=1&&b=2`) is skipped.
 *
 * @param body bounded by who read it.
 * @throws ServiceError MalformedQueryString for bytes that are no UTF-8, a broken percent escape, more than `mostPairs`
 *   pairs or a key above MAX_KEY_LENGTH.
 */
export function parseForm(body: Uint8Array, mostPairs = MAX_PAIRS): readonly Pair[] {
  return parseFormText(decodeUtf8(body), mostPairs);
}

/** As parseForm, for text, such as the query of a URL (without its `?`). */
export function parseFormText(text: string, mostPairs = MAX_PAIRS): readonly Pair[] {
  const pairs: Pair[] = [];
  let start = 0;
  while (start < text.length) {
    const ampersand = text.indexOf('&', start);
    const end = ampersand === -1 ? text.length : ampersand;
    if (end > start) {
      // Counted before the pair is decoded, so that the bound also bounds the work.
      if (pairs.length === mostPairs) throw malformed(`A request can have up to ${mostPairs} parameters.`);
      pairs.push(parsePair(text.slice(start, end)));
    }
    start = end + 1;
  }
  return pairs;
}

function parsePair(text: string): Pair {
  const equals = text.indexOf('=');
  const key = decodePart(equals === -1 ? text : text.slice(0, equals));
  if (key.length > MAX_KEY_LENGTH)
    throw malformed(`A parameter's name can have up to ${MAX_KEY_LENGTH} characters.`);
  return [key, equals === -1 ? '' : decodePart(text.slice(equals + 1))];
}

function decodePart(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw malformed('The request holds a percent escape that is not valid UTF-8.');
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw malformed('The request body is not valid UTF-8.');
  }
}

function malformed(message: string) {
  return serviceError('MalformedQueryString', message);
}
