/**
 * memcached for `createCache`, and its client for uses of one's own.
 *
 * ```ts
 * const cache = createCache({ name: 'shop', far: memcached({ servers: [{ host: '10.0.0.5', port: 11211 }] }) });
 * ```
 *
 * The promise is that of Valkey and Redis: nothing that a definition watches is served when it was replaced longer
 * than `boundMs` ago. What memcached hasn't, and is refused with a CacheConfigError: tags, near tiers, strict
 * announcements, events before their commit. A change of the list of nodes voids what is cached.
 */
import { CacheConfigError } from '../errors.ts';
import type { LeasingDriver } from '../shared-tier.ts';
import { checkSettings, type MetaClientSettings } from './client-settings.ts';
import { MetaArgumentError } from './errors.ts';
import { LeasedTier } from './leased-tier.ts';

export type { MetaClientSettings } from './client-settings.ts';
export * from './errors.ts';
export { type CasToken, type Deleted, MetaClient, type MetaItem, type Stored } from './meta-client.ts';

/** `createCache` gives the time limit (`farTimeoutMs`) and the clock. */
export type MemcachedOptions = Omit<MetaClientSettings, 'events' | 'clock' | 'timeoutMs'>;

/** Throws CacheConfigError. Connects when a cache is created with it. */
export function memcached(options: MemcachedOptions): LeasingDriver {
  try {
    checkSettings(options);
  } catch (error) {
    if (error instanceof MetaArgumentError) throw new CacheConfigError(error.message, { cause: error });
    throw error;
  }
  return {
    name: 'memcached',
    openTier: (tierOptions) => new LeasedTier(tierOptions, options),
  };
}
