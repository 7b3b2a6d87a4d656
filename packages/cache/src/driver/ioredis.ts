/** ioredis 5 and later. */
import { Redis, type RedisOptions } from 'ioredis';
import type { Driver, DriverOptions } from './driver.ts';
import { familyDriver } from './ioredis-family.ts';

export function ioredis(options: DriverOptions): Driver {
  return familyDriver('ioredis', options, (settings) => new Redis(settings as RedisOptions));
}
