/**
 * A process with the same definitions as the test that forks it, over the built library. Its loaders ask the
 * parent for the row, so that the parent counts and holds the loads of all processes.
 *
 * argv[2]: JSON { name, table, engine, kind?, postgres? }. With `postgres` it runs the invalidator.
 */
import { createCache } from '@larder/cache';
import { memcached } from '@larder/cache/memcached';
import { nodeRedis } from '@larder/cache/node-redis';
import { postgresFeed } from '@larder/cache/postgres';

const { name, table, engine, kind, postgres } = JSON.parse(process.argv[2]);
const far = kind === 'memcached' ? memcached({ servers: [engine] }) : nodeRedis(engine);
const cache = createCache({ name, far });
const asked = new Map();
let counter = 0;

const product = cache.define({
  name: 'product',
  key: String,
  load(id) {
    const number = counter++;
    process.send({ kind: 'load', number, id });
    return new Promise((resolve) => asked.set(number, resolve));
  },
  watches: table === undefined ? [] : [{ table: `public.${table}`, key: (row) => row.id }],
});

process.on('message', async (message) => {
  if (message.kind === 'row') {
    asked.get(message.number)(message.row);
    asked.delete(message.number);
  } else if (message.kind === 'read') {
    const values = await Promise.all(Array.from({ length: message.callers }, () => product.get(message.id)));
    process.send({ kind: 'values', values, stats: cache.stats() });
  }
});

if (postgres !== undefined) {
  await cache
    .invalidator(
      postgresFeed({ connection: postgres, slot: name, publication: name, createPublication: true }),
    )
    .start();
}
await cache.ready();
process.send({ kind: 'ready' });
