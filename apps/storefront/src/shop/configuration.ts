/** What a shop process is told when it starts: on standard input or by its parent, never in its arguments. */
import type { PostgresAddress } from '../postgres/server.ts';
import type { CacheAddress } from './cache-server.ts';
import type { Mode } from './catalogue.ts';

export interface ShopConfiguration {
  readonly mode: Mode;
  /** 127.0.0.1 when left out. */
  readonly host?: string;
  /** 0 takes any free port; the ready message names it. */
  readonly port: number;
  readonly postgres: PostgresAddress;
  /** Connections to PostgreSQL; 10 when left out. */
  readonly poolSize?: number;
  /** Left out in mode `none` only. */
  readonly cache?: CacheAddress;
}

export interface InvalidatorConfiguration {
  readonly postgres: PostgresAddress;
  readonly cache: CacheAddress;
  /** Of the replication slot and of the publication; `larder_shop` when left out. */
  readonly feedName?: string;
}

export class ConfigurationError extends Error {
  override name = 'ConfigurationError';
}

const limitBytes = 65_536;

/**
 * The JSON from the parent process (its first message) or from standard input (until it ends).
 * @throws ConfigurationError when it is not JSON, or too long.
 */
export async function receiveConfiguration(): Promise<unknown> {
  if (process.send !== undefined) {
    return new Promise((resolve) => process.once('message', resolve));
  }
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes)
      throw new ConfigurationError(`The configuration is over ${limitBytes} bytes.`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new ConfigurationError('Standard input must hold the configuration as JSON.');
  }
}

/** @throws ConfigurationError naming the field that is wrong. */
export function checkShopConfiguration(input: unknown): ShopConfiguration {
  const fields = record(input, 'the configuration');
  const mode = fields.mode;
  if (mode !== 'none' && mode !== 'ttl' && mode !== 'larder') {
    throw new ConfigurationError('"mode" must be "none", "ttl" or "larder".');
  }
  if (mode !== 'none' && fields.cache === undefined) {
    throw new ConfigurationError(`Mode "${mode}" needs "cache".`);
  }
  return {
    mode,
    port: integer(fields.port, 'port', 0, 65_535),
    postgres: postgresAddress(fields.postgres),
    ...(fields.host === undefined ? {} : { host: text(fields.host, 'host') }),
    ...(fields.poolSize === undefined ? {} : { poolSize: integer(fields.poolSize, 'poolSize', 1, 1_000) }),
    ...(fields.cache === undefined ? {} : { cache: cacheAddress(fields.cache) }),
  };
}

/** @throws ConfigurationError naming the field that is wrong. */
export function checkInvalidatorConfiguration(input: unknown): InvalidatorConfiguration {
  const fields = record(input, 'the configuration');
  return {
    postgres: postgresAddress(fields.postgres),
    cache: cacheAddress(fields.cache),
    ...(fields.feedName === undefined ? {} : { feedName: text(fields.feedName, 'feedName') }),
  };
}

function postgresAddress(input: unknown): PostgresAddress {
  const fields = record(input, '"postgres"');
  return {
    host: text(fields.host, 'postgres.host'),
    port: integer(fields.port, 'postgres.port', 1, 65_535),
    user: text(fields.user, 'postgres.user'),
    password: text(fields.password, 'postgres.password'),
    database: text(fields.database, 'postgres.database'),
  };
}

function cacheAddress(input: unknown): CacheAddress {
  const fields = record(input, '"cache"');
  return {
    host: text(fields.host, 'cache.host'),
    port: integer(fields.port, 'cache.port', 1, 65_535),
    ...(fields.username === undefined ? {} : { username: text(fields.username, 'cache.username') }),
    ...(fields.password === undefined ? {} : { password: text(fields.password, 'cache.password') }),
  };
}

function record(input: unknown, what: string): Record<string, unknown> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new ConfigurationError(`${what} must be an object.`);
  }
  return input as Record<string, unknown>;
}

function text(input: unknown, name: string): string {
  if (typeof input !== 'string' || input === '') throw new ConfigurationError(`"${name}" must be a text.`);
  return input;
}

function integer(input: unknown, name: string, least: number, most: number): number {
  if (typeof input !== 'number' || !Number.isInteger(input) || input < least || input > most) {
    throw new ConfigurationError(`"${name}" must be a whole number from ${least} to ${most}.`);
  }
  return input;
}
