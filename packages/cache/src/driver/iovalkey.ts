/** iovalkey 0.3 and later, Valkey's fork of ioredis. */
import { Redis, type RedisOptions } from 'iovalkey';
import type { Driver, DriverOptions } from './driver.ts';
import { familyDriver } from './ioredis-family.ts';

export function iovalkey(options: DriverOptions): Driver {
  return familyDriver('iovalkey', options, (settings) => new Redis(settings as RedisOptions));
}
