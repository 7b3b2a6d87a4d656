/** The ES module that a user writes about a cache: its definitions, where its changes come from, what to check. */
import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Cache, CacheOptions } from '@larder/cache';
import type { PostgresConnection } from '@larder/cache/postgres';
import { UsageError } from './usage-error.ts';

export interface CacheModule {
  readonly cache: Cache;
  readonly source?: Parameters<Cache['invalidator']>[0];
  /** Options of `cache.invalidator`. */
  readonly invalidator?: Parameters<Cache['invalidator']>[1];
  /** For the doctor. */
  readonly postgres?: {
    readonly connection: PostgresConnection;
    readonly slot: string;
    readonly publication: string;
  };
  /** The driver that `cache` was created with; for the doctor. */
  readonly far?: CacheOptions['far'];
}

/** @throws UsageError when the file is missing, doesn't load, or doesn't export a cache. */
export async function loadCacheModule(file: string): Promise<CacheModule> {
  const path = resolve(file);
  await access(path).catch(() => {
    throw new UsageError(`There is no file ${path}.`);
  });
  let loaded: Partial<CacheModule>;
  try {
    loaded = (await import(pathToFileURL(path).href)) as Partial<CacheModule>;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(`${path} can't be loaded: ${reason}`, { cause });
  }
  if (typeof loaded.cache?.invalidator !== 'function') {
    throw new UsageError(
      `${path} must export \`cache\`, made with createCache of @larder/cache and its definitions.`,
    );
  }
  return { ...loaded, cache: loaded.cache };
}
