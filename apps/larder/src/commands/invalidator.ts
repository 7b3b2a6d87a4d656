/** `larder invalidator`: one feed for a fleet of applications, in the foreground, until it is told to end. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Cache } from '@larder/cache';
import { loadCacheModule } from '../cache-module.ts';
import { UsageError } from '../usage-error.ts';

const statusEveryMs = 1_000;
const topics = ['feed', 'far', 'epoch'] as const;

/**
 * Resolves after SIGTERM or SIGINT, when what was applied is acknowledged. A second signal ends it at once.
 * Rejects with FeedConfigError when the database must be set up differently; whatever else fails is tried again.
 */
export async function runInvalidator(configFile: string, json: boolean): Promise<void> {
  const { cache, source, invalidator: options } = await loadCacheModule(configFile);
  const unlisten = listen(cache.name, json ? printJson : printText);
  try {
    if (source === undefined) {
      throw new UsageError(
        `${configFile} must export \`source\` too, for example postgresFeed(...) of @larder/cache/postgres.`,
      );
    }
    await carry(cache.invalidator(source, options), json);
  } finally {
    await cache.close();
    unlisten();
  }
}

async function carry(invalidator: ReturnType<Cache['invalidator']>, json: boolean): Promise<void> {
  const ending = signalled();
  const starting = invalidator.start();
  // A database that can't be reached yet is waited for; a signal ends that too.
  await Promise.race([starting, ending]);
  starting.catch(() => {});
  const report = (): void => {
    if (json) printJson('status', { ...invalidator.status() });
  };
  const ticking = setInterval(report, statusEveryMs);
  await ending;
  clearInterval(ticking);
  await invalidator.stop();
  report();
}

type Print = (event: string, fields: Readonly<Record<string, unknown>>) => void;

/** Errors as their messages: causes may hold what a log should not. */
function listen(cacheName: string, print: Print): () => void {
  const listeners = topics.map((topic) => {
    const listener = (message: unknown): void => {
      const { cache, cause, ...fields } = message as { readonly cache: string; readonly cause?: Error };
      if (cache !== cacheName) return;
      print(topic, { ...fields, ...(cause === undefined ? {} : { cause: cause.message }) });
    };
    subscribe(`larder:cache:${topic}`, listener);
    return { topic, listener };
  });
  return () => {
    for (const { topic, listener } of listeners) unsubscribe(`larder:cache:${topic}`, listener);
  };
}

function printJson(event: string, fields: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), event, ...fields })}\n`);
}

function printText(event: string, fields: Readonly<Record<string, unknown>>): void {
  const words = Object.entries(fields).map(([name, value]) =>
    name === 'state' ? String(value) : `${name}: ${String(value)}`,
  );
  process.stdout.write(`${new Date().toISOString()} ${event} ${words.join(', ')}\n`);
}

function signalled(): Promise<void> {
  return new Promise((resolve) => {
    let count = 0;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        count += 1;
        if (count > 1) process.exit(1);
        resolve();
      });
    }
  });
}
