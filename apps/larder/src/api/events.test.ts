/** The stream of events over HTTP, from a log of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signRequest } from '@larder/contract/sign-request';
import { connectDatabase, type Database } from '@larder/control/database/connect';
import { recordEvent } from '@larder/control/event-log/event-log';
import { type EventStream, eventStream } from '@larder/control/event-log/event-stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type RunningApi, startApi } from './running-api.test-support.ts';

const access = {
  accessKeyId: 'AKIDTEST',
  secretAccessKey: 'secret',
  region: 'eu-test-1',
  service: 'elasticache',
};
let folder: string;
let database: Database;
let stream: EventStream;
let api: RunningApi;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'larder-events-'));
  database = connectDatabase(join(folder, 'state.db'));
  stream = eventStream(database, (error) => {
    throw error;
  });
  api = await startApi({
    events: stream,
    lookupAccessKey: async (id) =>
      id === access.accessKeyId
        ? { secretAccessKey: access.secretAccessKey, rights: 'read-only' }
        : undefined,
  });
});

afterEach(async () => {
  stream.stop();
  await api.close();
  await database.destroy();
  rmSync(folder, { recursive: true });
});

const happen = (sourceId: string, atMs = Date.now()) =>
  database
    .transaction()
    .execute((transaction) =>
      recordEvent(transaction, { atMs, sourceType: 'cache-cluster', sourceId, message: `m ${sourceId}` }),
    );

async function ask(query = '', headers: Record<string, string> = {}): Promise<Response> {
  const url = new URL(`/events${query}`, api.url);
  const signed = await signRequest(access, { method: 'GET', url });
  return fetch(url, { headers: { ...signed, ...headers } });
}

/** Reads until it has that many events. */
async function take(response: Response, count: number): Promise<{ id: number; of: string }[]> {
  const reader = response.body!.getReader();
  let text = '';
  const events = () =>
    [...text.matchAll(/^id: (\d+)\ndata: (.*)\n\n/gm)].map(([, id, data]) => ({
      id: Number(id),
      of: (JSON.parse(data!) as { SourceIdentifier: string }).SourceIdentifier,
    }));
  while (events().length < count) {
    const { done, value } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  await reader.cancel();
  return events();
}

test('from now on there is what happens, with ids to go on from', async () => {
  await happen('before');
  const first = await ask();
  expect(first.headers.get('content-type')).toBe('text/event-stream');
  await happen('a');
  await happen('b');
  const [a, b] = await take(first, 2);
  expect([a!.of, b!.of]).toEqual(['a', 'b']);
  await happen('c');
  expect((await take(await ask('', { 'last-event-id': String(a!.id) }), 2)).map(({ of }) => of)).toEqual([
    'b',
    'c',
  ]);
});

test('the past is there for as long as is asked, and it ends where it is not followed', async () => {
  await happen('yesterday', Date.now() - 24 * 3_600_000);
  for (let index = 0; index < 250; index += 1) await happen(`n${index}`);
  const text = await (await ask('?minutes=60&follow=no')).text();
  expect(text.match(/^data: /gm)).toHaveLength(250);
  expect(text).not.toContain('yesterday');
  expect(await (await ask('?minutes=2000&follow=no')).text()).toContain('yesterday');
});

test('an id from another state does not wait for events that are far off', async () => {
  await happen('a');
  const response = await ask('', { 'last-event-id': '999999' });
  await happen('b');
  expect((await take(response, 1)).map(({ of }) => of)).toEqual(['b']);
});

test('who is not signed, asks wrongly or comes when there are too many is refused', async () => {
  expect((await fetch(`${api.url}/events`)).status).toBe(403);
  const signed = await signRequest(
    { ...access, service: 'sns' },
    { method: 'GET', url: new URL('/events', api.url) },
  );
  expect((await fetch(`${api.url}/events`, { headers: signed })).status).toBe(403);
  expect((await ask('?minutes=x')).status).toBe(400);
  expect((await ask('', { 'last-event-id': 'x' })).status).toBe(400);
  const listeners = await Promise.all(Array.from({ length: 64 }, () => ask()));
  expect(listeners.map(({ status }) => status)).toEqual(Array(64).fill(200));
  const refused = await ask();
  expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining('Throttling')]);
  // Those that left make room again.
  for (const listener of listeners) await listener.body!.cancel();
  for (;;) {
    const again = await ask();
    await again.body!.cancel();
    if (again.status === 200) break;
  }
});

test('a controller that stops ends its streams', async () => {
  const response = await ask();
  stream.stop();
  expect(await response.text()).toContain('retry: 1000');
  expect((await ask()).status).toBe(503);
});
