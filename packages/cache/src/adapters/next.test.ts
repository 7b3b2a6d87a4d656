/** Against the interfaces as Next documents them, played as Next plays them; Next itself isn't installed here. */
import { pid } from 'node:process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { randomOf } from '../testing/random.ts';
import { waitFor } from '../testing/wait-for.ts';
import { MemoryEngine } from '../testkit/memory-engine.ts';
import { type NextCache, type NextCacheEntry, nextCache } from './next.ts';

let engine: MemoryEngine;
const open: NextCache[] = [];
beforeEach(() => {
  engine = new MemoryEngine();
});
afterEach(() => Promise.all(open.splice(0).map(({ cache }) => cache.close())));

async function process(): Promise<NextCache> {
  const next = nextCache({ name: 'web', far: engine.driver() });
  open.push(next);
  await next.cache.ready();
  return next;
}

const page = (html: string, tags: string) => ({
  kind: 'APP_PAGE',
  html,
  rscData: Buffer.from([0, 255, 10]),
  headers: { 'x-next-cache-tags': tags },
  segmentData: new Map([['/a', Buffer.from('segment')]]),
  postponed: undefined,
});

test('a page is rendered once, and ends everywhere with its tag', async () => {
  const [one, two] = [await process(), await process()];
  const [request, other] = [new one.CacheHandler(), new two.CacheHandler()];
  expect(await request.get('/shop')).toBeNull();
  const rendered = page('<p>95</p>', 'products,_N_T_/shop');
  await request.set('/shop', rendered);
  const found = await other.get('/shop');
  expect(found?.value).toEqual(rendered);
  expect(found?.value).toHaveProperty('postponed', undefined);
  expect(found?.lastModified).toBeGreaterThan(Date.now() - 60_000);
  await new two.CacheHandler().revalidateTag('others');
  expect(await request.get('/shop')).not.toBeNull();
  await new two.CacheHandler().revalidateTag(['_N_T_/shop']);
  expect(await request.get('/shop')).toBeNull();
  await request.set('/shop', null);
  expect(await other.get('/shop')).toBeNull();
});

test('a render that began before revalidateTag does not survive it, whenever it ends', async () => {
  const [one, two] = [await process(), await process()];
  const slow = new one.CacheHandler();
  expect(await slow.get('/shop')).toBeNull();
  await new two.CacheHandler().revalidateTag('products');
  await slow.set('/shop', page('<p>old</p>', 'products'));
  expect(await new one.CacheHandler().get('/shop')).toBeNull();

  // Not either when somebody else has rendered it meanwhile.
  const [late, quick] = [new one.CacheHandler(), new two.CacheHandler()];
  await late.get('/shop');
  await new two.CacheHandler().revalidateTag('products');
  await quick.get('/shop');
  await quick.set('/shop', page('<p>new</p>', 'products'));
  await late.set('/shop', page('<p>old</p>', 'products'));
  expect((await new two.CacheHandler().get('/shop'))?.value).toMatchObject({ html: '<p>new</p>' });
});

test('a handler that outlives its request is as safe', async () => {
  const { CacheHandler } = await process();
  const handler = new CacheHandler();
  await handler.get('/shop');
  await handler.get('/shop');
  await handler.set('/shop', page('first', 'products'));
  await handler.revalidateTag('products');
  // A third render begins; then the second one, from before, ends.
  await handler.get('/shop');
  await handler.set('/shop', page('old', 'products'));
  expect(await new CacheHandler().get('/shop')).toBeNull();
});

test('an entry that Next renews by its age is replaced', async () => {
  const { CacheHandler } = await process();
  for (const html of ['one', 'two', 'three']) {
    const request = new CacheHandler();
    await request.get('/shop');
    await request.set('/shop', page(html, 'products'));
    expect((await new CacheHandler().get('/shop'))?.value).toMatchObject({ html });
  }
  // Without having asked first, nobody knows when the making began.
  await new CacheHandler().set('/shop', page('four', 'products'));
  expect((await new CacheHandler().get('/shop'))?.value).toMatchObject({ html: 'three' });
});

test('fetches depend on their own tags and on those of the page around', async () => {
  const { CacheHandler } = await process();
  const request = new CacheHandler();
  const response = { kind: 'FETCH', data: { body: 'e30=', status: 200 }, revalidate: 60 };
  const around = { tags: ['products'], softTags: ['_N_T_/layout', '_N_T_/a'] };
  const elsewhere = { tags: ['products'], softTags: ['_N_T_/layout', '_N_T_/b'] };
  for (const context of [around, elsewhere]) {
    expect(await request.get('fetch', context)).toBeNull();
    await request.set('fetch', response, { tags: context.tags });
  }
  // From now on it is known to both pages.
  for (const context of [around, elsewhere]) expect(await request.get('fetch', context)).not.toBeNull();
  await request.revalidateTag('_N_T_/a');
  expect(await request.get('fetch', around)).toBeNull();
});

function entry(text: string, fields: Partial<NextCacheEntry> = {}): NextCacheEntry {
  const value = new Blob([text]).stream();
  return {
    value,
    tags: ['products'],
    stale: 30,
    timestamp: Date.now(),
    expire: 600,
    revalidate: 60,
    ...fields,
  };
}
const textOf = async (found: NextCacheEntry | undefined): Promise<string | undefined> =>
  found && new Response(found.value).text();

test("'use cache': streams are kept while they are still read, and end with their tags", async () => {
  const [one, two] = [(await process()).useCacheHandler, (await process()).useCacheHandler];
  expect(await one.get('key', ['_N_T_/shop'])).toBeUndefined();
  const made = entry('content');
  const setting = one.set('key', Promise.resolve(made));
  // Whoever asks during a set waits for it.
  const during = one.get('key', ['_N_T_/shop']);
  await setting;
  expect(await textOf(made)).toBe('content');
  expect(await textOf(await during)).toBe('content');
  const found = await two.get('key', ['_N_T_/shop']);
  expect(found).toMatchObject({ tags: ['products'], stale: 30, expire: 600, revalidate: 60 });
  expect(await textOf(found)).toBe('content');
  expect(await two.getExpiration(['_N_T_/shop'])).toBe(Number.POSITIVE_INFINITY);
  await two.refreshTags();
  await two.updateTags(['_N_T_/shop']);
  expect(await one.get('key', ['_N_T_/shop'])).toBeUndefined();
});

test("'use cache': what was begun before updateTags, half of a stream, and what is too old is not given", async () => {
  const { useCacheHandler: handler } = await process();
  const { useCacheHandler: other } = await process();
  await handler.get('slow', []);
  let finish = (_: NextCacheEntry): void => {};
  const setting = handler.set('slow', new Promise((resolve) => (finish = resolve)));
  await other.updateTags(['products']);
  finish(entry('old'));
  await setting;
  expect(await other.get('slow', [])).toBeUndefined();

  await handler.get('broken', []);
  const broken = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(Buffer.from('half'));
      controller.error(new Error('The render failed.'));
    },
  });
  await handler.set('broken', Promise.resolve(entry('', { value: broken })));
  expect(await other.get('broken', [])).toBeUndefined();
  await handler.set('failed', Promise.reject(new Error('The render failed.')));

  await handler.get('aged', []);
  await handler.set('aged', Promise.resolve(entry('aged', { timestamp: Date.now() - 601_000 })));
  expect(await other.get('aged', [])).toBeUndefined();
});

test('with the shared tier down pages are rendered, and revalidations are owed', async () => {
  const { CacheHandler } = await process();
  const handler = new CacheHandler();
  await handler.get('/shop');
  await handler.set('/shop', page('old', 'products'));
  engine.kill();
  expect(await handler.get('/shop')).toBeNull();
  await handler.set('/shop', page('unkept', 'products'));
  await expect(handler.revalidateTag('products')).rejects.toThrow(/repeated until/);
});

test('a revalidation that the shared tier did not confirm happens all the same, later', async () => {
  const { CacheHandler } = await process();
  const handler = new CacheHandler();
  await handler.get('/shop');
  await handler.set('/shop', page('old', 'products'));
  expect(await handler.get('/shop')).not.toBeNull();
  engine.pause();
  await expect(handler.revalidateTag('products')).rejects.toThrow(/repeated until/);
  engine.resume();
  await waitFor('the end of the page', async () => (await handler.get('/shop')) === null);
});

test('in random order, no page is given that was begun before a revalidation that had ended', async () => {
  const seed = (Date.now() ^ (pid << 8)) >>> 0;
  console.log(`seed ${seed}`);
  const random = randomOf(seed);
  const processes = await Promise.all([process(), process(), process()]);
  const pause = async (): Promise<void> => {
    for (let turns = Math.floor(random() * 60); turns > 0; turns -= 1) await new Promise(setImmediate);
  };
  const keys = ['/a', '/b'];
  let data = 0;
  let leastData = 0;
  let hits = 0;
  let renders = 0;
  const visit = async (): Promise<void> => {
    const request = new processes[Math.floor(random() * processes.length)]!.CacheHandler();
    const key = keys[Math.floor(random() * keys.length)]!;
    const least = leastData;
    const found = (await request.get(key))?.value as { html: string } | undefined;
    if (found !== undefined) {
      hits += 1;
      expect(Number(found.html)).toBeGreaterThanOrEqual(least);
      return;
    }
    const html = String(data);
    renders += 1;
    await pause();
    await request.set(key, page(html, 'products'));
  };
  const change = async (): Promise<void> => {
    data += 1;
    const changed = data;
    await new processes[Math.floor(random() * processes.length)]!.CacheHandler().revalidateTag('products');
    leastData = Math.max(leastData, changed);
  };
  const actor = async (): Promise<void> => {
    for (let step = 0; step < 60; step += 1) {
      await (random() < 0.1 ? change() : visit());
      await pause();
    }
  };
  await Promise.all(Array.from({ length: 8 }, actor));
  expect(Math.min(hits, renders, data)).toBeGreaterThan(10);
});
