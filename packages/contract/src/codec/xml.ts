/** The AWS query protocol, server side: an output object in, the response's XML out. */
import type { OperationModel, Shape, StructureShape } from '../service-model.ts';
import { formatScalar } from './scalar.ts';

/**
 * The body of a successful response: `<XResponse><XResult>…</XResult><ResponseMetadata>…</XResponse>`.
 *
 * Members the model does not name are left out, as are undefined ones; an empty list becomes an empty element. An
 * operation that returns nothing has no result element.
 *
 * @throws TypeError when a value is not of its modelled type, naming the member.
 */
export function encodeResponse(
  operation: OperationModel,
  output: unknown,
  requestId: string,
  xmlNamespace: string,
): string {
  const { name } = operation;
  const result =
    operation.output === undefined
      ? ''
      : element(`${name}Result`, structureContent(operation.output, output, name));
  const metadata = element('ResponseMetadata', element('RequestId', escapeXml(requestId)));
  return `<${name}Response xmlns="${escapeXml(xmlNamespace)}">${result}${metadata}</${name}Response>`;
}

function structureContent(shape: StructureShape, value: unknown, path: string): string {
  if (!isRecord(value)) throw new TypeError(`${path} must be an object`);
  let content = '';
  for (const member of shape.members.values()) {
    const memberValue = value[member.name];
    if (memberValue === undefined || memberValue === null) continue;
    content += element(member.wireName, shapeContent(member.shape, memberValue, `${path}.${member.name}`));
  }
  return content;
}

function shapeContent(shape: Shape, value: unknown, path: string): string {
  if (shape.kind === 'structure') return structureContent(shape, value, path);
  if (shape.kind === 'list') {
    if (!Array.isArray(value)) throw new TypeError(`${path} must be an array`);
    return value
      .map((item: unknown, index) =>
        element(shape.itemName, shapeContent(shape.item, item, `${path}[${index}]`)),
      )
      .join('');
  }
  if (shape.kind === 'map') {
    if (!isRecord(value)) throw new TypeError(`${path} must be an object`);
    return Object.entries(value)
      .map(([key, each]) =>
        element(
          'entry',
          element('key', escapeXml(key)) +
            element('value', shapeContent(shape.value, each, `${path}.${key}`)),
        ),
      )
      .join('');
  }
  try {
    return escapeXml(formatScalar(shape, value));
  } catch (cause) {
    throw new TypeError(`${path}: ${cause instanceof Error ? cause.message : 'not encodable'}`, { cause });
  }
}

function element(name: string, content: string): string {
  return `<${name}>${content}</${name}>`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const MARKUP: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** Printable ASCII without markup. */
const PLAIN = /^[ !#-%(-;=?-~]*$/;
const LONE_SURROGATE = /\p{Surrogate}/gu;

/**
 * Escapes text for an element or an attribute.
 *
 * Line breaks and tabs go as character references, because a parser would turn `\r` into `\n` and may trim the rest.
 * Characters XML 1.0 can't hold in any form (most control characters, lone surrogates) become U+FFFD: the document
 * stays well-formed, whatever a client once stored.
 */
export function escapeXml(text: string): string {
  // Most texts are ids and words: one look is enough for them.
  if (PLAIN.test(text)) return text;
  return text.replace(LONE_SURROGATE, '\ufffd').replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
    /[&<>"'\u0000-\u001f\u007f-\u009f\u2028\ufffe\uffff]/g,
    (character) => MARKUP[character] ?? escapeControl(character),
  );
}

function escapeControl(character: string): string {
  const code = character.charCodeAt(0);
  const allowed =
    code === 0x09 || code === 0x0a || code === 0x0d || (code >= 0x7f && code <= 0x9f) || code === 0x2028;
  return allowed ? `&#x${code.toString(16).toUpperCase()};` : '\ufffd';
}
