/** (pure) Memcached's parameters: which setting each one is, and the argument that makes it so. */
import type { FamilyParameter } from './family.ts';

export interface MemcachedParameter {
  readonly description: string;
  /** Its name in `stats settings`. */
  readonly setting: string;
  readonly dataType: FamilyParameter['dataType'];
  readonly allowedValues: string;
  /** From the setting's text to the parameter's value. */
  readonly read: (shown: string) => string;
  /** Arguments, and parts of the one `-o`, for a value. */
  readonly write: (value: string) => { readonly args?: readonly string[]; readonly option?: string };
}

const chunkBytes = 512 * 1_024;
const same = (shown: string) => shown;
const flag = (shown: string) => (['yes', 'on', '1'].includes(shown) ? '1' : '0');
const inverted = (shown: string) => (flag(shown) === '1' ? '0' : '1');
const perKilobyte = (shown: string) => String(Math.floor(Number(shown) / 1_024));
const argument = (name: string) => (value: string) => ({ args: [name, value] });
const whenOn = (name: string) => (value: string) => (value === '1' ? { args: [name] } : {});
const option = (name: string) => (value: string) => ({ option: `${name}=${value}` });
const toggle = (on: string, off: string) => (value: string) => ({ option: value === '1' ? on : off });

const number = (
  description: string,
  setting: string,
  allowedValues: string,
  write: MemcachedParameter['write'],
  read = same,
): MemcachedParameter => ({ description, setting, dataType: 'integer', allowedValues, read, write });
const boolean = (
  description: string,
  setting: string,
  write: MemcachedParameter['write'],
  read = flag,
): MemcachedParameter => ({ description, setting, dataType: 'boolean', allowedValues: '0,1', read, write });

export const memcachedParameters: Readonly<Record<string, MemcachedParameter>> = {
  backlog_queue_limit: number(
    'Connections that may wait to be taken.',
    'tcp_backlog',
    '1-10000',
    argument('-b'),
  ),
  binding_protocol: {
    description: 'Protocol that clients must speak; auto lets each choose.',
    setting: 'binding_protocol',
    dataType: 'string',
    allowedValues: 'auto,ascii,binary',
    read: (shown) => (shown === 'auto-negotiate' ? 'auto' : shown),
    write: argument('-B'),
  },
  cas_disabled: boolean(
    '1 takes away check-and-set and 8 bytes of each item.',
    'cas_enabled',
    whenOn('-C'),
    inverted,
  ),
  chunk_size: number(
    'Least bytes for key, value and flags of an item.',
    'chunk_size',
    '1-1024',
    argument('-n'),
  ),
  chunk_size_growth_factor: {
    description: 'By how much each slab class is larger than the one before.',
    setting: 'growth_factor',
    dataType: 'float',
    allowedValues: '1.01-1024',
    read: (shown) => String(Number(shown)),
    write: argument('-f'),
  },
  disable_flush_all: boolean('1 refuses flush_all.', 'flush_enabled', whenOn('-F'), inverted),
  error_on_memory_exhausted: boolean(
    '1 refuses new items when memory is full, instead of evicting.',
    'evictions',
    whenOn('-M'),
    inverted,
  ),
  hashpower_init: number(
    'First size of the hash table, as a power of two; 0 for 16.',
    'hashpower_init',
    '0,16-24',
    (value) => (value === '0' ? {} : { option: `hashpower=${value}` }),
  ),
  idle_timeout: number(
    'Seconds after which an idle connection is closed; 0 for never.',
    'idle_timeout',
    '0-86400',
    option('idle_timeout'),
  ),
  lru_crawler: boolean(
    '1 lets a thread look for expired items.',
    'lru_crawler',
    toggle('lru_crawler', 'no_lru_crawler'),
  ),
  lru_maintainer: boolean(
    '1 lets a thread keep items in segments by how often they are used.',
    'lru_maintainer_thread',
    toggle('lru_maintainer', 'no_lru_maintainer'),
  ),
  max_item_size: number(
    'Largest item in bytes, rounded up to a multiple of 512 KB.',
    'item_size_max',
    '524288-134217728',
    // Memcached stores larger items in chunks of this size, and starts with no other sizes.
    (value) => ({ args: ['-I', String(Math.ceil(Number(value) / chunkBytes) * chunkBytes)] }),
  ),
  maxconns_fast: boolean(
    '1 closes connections over the limit at once.',
    'maxconns_fast',
    toggle('maxconns_fast', 'no_maxconns_fast'),
  ),
  requests_per_event: number(
    'Requests of one connection that are served in turn.',
    'reqs_per_event',
    '1-1000',
    argument('-R'),
  ),
  slab_automove: number(
    '0: memory stays in its slab class; 1: it is moved where it is needed; 2: at every eviction.',
    'slab_automove',
    '0-2',
    option('slab_automove'),
  ),
  slab_reassign: boolean(
    '1 lets memory move between slab classes.',
    'slab_reassign',
    toggle('slab_reassign', 'no_slab_reassign'),
  ),
  track_sizes: boolean('1 keeps the histogram of "stats sizes" up to date.', 'track_sizes', (value) =>
    value === '1' ? { option: 'track_sizes' } : {},
  ),
  watcher_logbuf_size: number(
    'Kilobytes of the buffer of each watcher.',
    'watcher_logbuf_size',
    '1-65536',
    option('watcher_logbuf_size'),
    perKilobyte,
  ),
  // worker_logbuf_size is not here: 1.6.18 takes its value for the sizes of slabs too.
};

/** Listed, but decided by Larder and the node type. */
export const memcachedFixed: Readonly<
  Record<string, { readonly description: string; readonly value: string }>
> = {
  max_simultaneous_connections: { description: 'Most client connections at a time.', value: '65000' },
};

/**
 * The arguments for these parameters. Those that are not given stay as Memcached has them.
 * @returns options joined to one `-o`, after what `modern` sets.
 */
export function memcachedArguments(parameters: Readonly<Record<string, string>>): string[] {
  const written = Object.entries(parameters).flatMap(([name, value]) => {
    const known = Object.hasOwn(memcachedParameters, name) ? memcachedParameters[name] : undefined;
    return known === undefined ? [] : [known.write(value)];
  });
  const options = ['modern', ...written.flatMap((each) => each.option ?? [])];
  return [...written.flatMap((each) => each.args ?? []), '-o', options.join(',')];
}
