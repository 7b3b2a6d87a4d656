/**
 * (pure) JSON whose numbers stay the text they were: a key of 19 digits doesn't survive a double, and a missed
 * digit is a missed invalidation.
 */

const maxTextLength = 8 * 2 ** 20;

/** Every number becomes a string with its own digits. Throws SyntaxError, or RangeError beyond 8 Mi characters. */
export function parseJsonText(text: string): unknown {
  if (text.length > maxTextLength)
    throw new RangeError(`The message is longer than ${maxTextLength} characters.`);
  // Checked first: quoting what isn't JSON could make it JSON.
  JSON.parse(text);
  return JSON.parse(text.replace(tokens, (token) => (token[0] === '"' ? token : `"${token}"`)));
}

const tokens = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Throws when it isn't base64 of UTF-8. */
export function textOfBase64(data: string): string {
  if (data.length > maxTextLength * 2) throw new RangeError('The message is too long.');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(data)) throw new SyntaxError('The message is not base64.');
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(data, 'base64'));
}
