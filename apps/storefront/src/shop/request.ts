/** Reading what a browser, or something worse, sent. */
import type { Context } from 'hono';

/** Becomes a page with its sentence and status. */
export class BadRequest extends Error {
  override name = 'BadRequest';
  readonly status: 400 | 403 | 404 | 409 | 413 | 415;
  constructor(status: BadRequest['status'], sentence: string) {
    super(sentence);
    this.status = status;
  }
}

export const bodyLimitBytes = 4_096;
const mostId = 2_147_483_647;

/** Undefined unless `text` is a whole number between 1 and the largest integer that PostgreSQL takes. */
export function idFrom(text: string | undefined): number | undefined {
  if (text === undefined || !/^[1-9]\d{0,9}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= mostId ? id : undefined;
}

/** A whole number from `least` to `most`, written in plain digits. */
export function wholeNumber(form: URLSearchParams, name: string, least: number, most: number): number {
  const text = form.get(name) ?? '';
  const value = Number(text);
  if (!/^\d{1,9}$/.test(text) || value < least || value > most) {
    throw new BadRequest(400, `The field "${name}" must be a whole number from ${least} to ${most}.`);
  }
  return value;
}

/** 16 to 64 letters, digits, "-" or "_". */
export function idempotencyKey(form: URLSearchParams): string {
  const key = form.get('key') ?? '';
  if (!/^[\w-]{16,64}$/.test(key)) {
    throw new BadRequest(400, 'This order form has no valid key. Open the cart again and order from there.');
  }
  return key;
}

/** The form of a POST from one of our own pages; anything else is refused. */
export async function ownForm(c: Context): Promise<URLSearchParams> {
  refuseForeignOrigin(c);
  const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/x-www-form-urlencoded') {
    throw new BadRequest(415, 'Forms must be sent as application/x-www-form-urlencoded.');
  }
  return new URLSearchParams(await c.req.text());
}

/**
 * A form on another site must not act for the buyer. Every browser sends Sec-Fetch-Site or Origin with a
 * POST; a program that sends neither carries no buyer's cookies that it was not given.
 */
export function refuseForeignOrigin(c: Context): void {
  const site = c.req.header('sec-fetch-site');
  const origin = c.req.header('origin');
  const foreign =
    site !== undefined
      ? site !== 'same-origin' && site !== 'none'
      : origin !== undefined && !isOwn(origin, c);
  if (foreign) throw new BadRequest(403, 'This form was sent from another site. Use the shop itself.');
}

function isOwn(origin: string, c: Context): boolean {
  return URL.canParse(origin) && new URL(origin).host === c.req.header('host');
}
