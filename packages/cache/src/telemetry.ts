/**
 * What the cache tells whoever listens on `node:diagnostics_channel`. A message is built only when somebody
 * subscribed. Names are stable; every message is a plain object that carries `cache`, the namespace.
 */
import { channel } from 'node:diagnostics_channel';

export interface TelemetryMessages {
  /** A loader ran. */
  load: { definition: string; key: string; durationMs: number; outcome: 'value' | 'absent' | 'failed' };
  /** The shared tier refused a fill; the caller reads again. */
  refused: { definition: string; key: string; reason: string };
  /** An entry that couldn't be used: not of this format, or not of this schema. Treated as a miss. */
  invalidEntry: { definition: string; key: string; reason: string };
  /** A loaded value was too large to keep; it was served all the same. */
  oversized: { definition: string; key: string; bytes: number };
  /** A value was served without proof, because its load failed or took too long. */
  lastKnown: { definition: string; key: string; cause: unknown };
  /** A sampled value differed from the database for a minute. */
  inconsistent: { definition: string; key: string };
  /** A minute's sampled reads were compared with the database, see checker.ts. */
  compared: {
    startMs: number;
    compared: number;
    staleFor: { readonly '1s': number; readonly '10s': number; readonly '60s': number };
  };
  /** A near tier gave up what it held of a partition. */
  flush: { partition: number; reason: string };
  /** A near tier noticed that it missed messages. */
  gap: { partition: number; expected: number; received: number };
  /** A connection to the shared tier came up or broke. */
  far: { node: string; state: 'up' | 'down'; cause?: Error };
  /** The feed applied changes. `lagMs` from the oldest's commit (the database's clock) to the engine's reply. */
  invalidation: { partition: number; position: string; keys: number; lagMs: number };
  /** The feed began an epoch: everything cached before is void. */
  epoch: { partition: number; reason: string };
  /** The feed's state changed. */
  feed: { state: string; cause?: Error };
  /**
   * Something out of the ordinary befell a session: two saves merged, a save came too late (destroyed, gone), or
   * the shared tier was down (anonymous, dropped). Whose session it was isn't told.
   */
  session: { sessions: string; event: 'merged' | 'destroyed' | 'gone' | 'anonymous' | 'dropped' };
  /** A rate limiter refused, or answered without knowing because the shared tier was down. */
  rateLimit: { limiter: string; allowed: boolean; guessed: boolean };
}

type Topic = keyof TelemetryMessages;

const topics: readonly Topic[] = [
  'load',
  'refused',
  'invalidEntry',
  'oversized',
  'lastKnown',
  'inconsistent',
  'compared',
  'flush',
  'gap',
  'far',
  'invalidation',
  'epoch',
  'feed',
  'session',
  'rateLimit',
];

const channels = Object.fromEntries(
  topics.map((topic) => [topic, channel(`larder:cache:${topic}`)]),
) as Record<Topic, ReturnType<typeof channel>>;

/** `message` is called only when the channel has subscribers. */
export function tell<T extends Topic>(cache: string, topic: T, message: () => TelemetryMessages[T]): void {
  const target = channels[topic];
  if (target.hasSubscribers) target.publish({ cache, ...message() });
}
