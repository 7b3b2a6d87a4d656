/**
 * `GET /events`: the event log as Server-Sent Events, from `Last-Event-ID`, from `?minutes=N` back, or from now on. Signed as
 * any request to ElastiCache, in headers or, for a browser's EventSource, in the query.
 */
import { serviceError } from '@larder/contract/errors';
import type { EventStream, NumberedEvent } from '@larder/control/event-log/event-stream';

const mostListeners = 64;
const heartbeatMs = 15_000;
const mostMinutes = 14 * 24 * 60;

export interface EventsAsked {
  readonly lastEventId: string | undefined;
  readonly minutes: string | null;
  /** `no`: only what there is now. */
  readonly follow: string | null;
  /** Fires when the client is gone. */
  readonly gone: AbortSignal;
}

export interface EventsAnswer {
  /** @throws ServiceError Throttling with too many listeners, MalformedInput, ServiceUnavailable while it stops. */
  answer(asked: EventsAsked): Promise<ReadableStream<Uint8Array>>;
}

export function eventsAnswer(stream: EventStream, nowMs: () => number): EventsAnswer {
  let listeners = 0;

  async function startOf({ lastEventId, minutes }: EventsAsked): Promise<number> {
    if (lastEventId !== undefined && lastEventId !== '') {
      if (!/^\d{1,15}$/.test(lastEventId)) throw malformed('Last-Event-ID', 'a number that /events gave');
      // One from a state that is no more would wait for events that come much later.
      return Math.min(Number(lastEventId), await stream.head());
    }
    if (minutes === null) return stream.head();
    const count = Number(minutes);
    if (!Number.isInteger(count) || count < 0 || count > mostMinutes) {
      throw malformed('minutes', `a whole number up to ${mostMinutes}`);
    }
    return stream.before(nowMs() - count * 60_000);
  }

  return {
    async answer(asked) {
      if (listeners >= mostListeners) {
        throw serviceError('Throttling', `${mostListeners} clients follow the events already.`);
      }
      if (stream.stopped) throw serviceError('ServiceUnavailable', 'This controller stops.');
      listeners += 1;
      let leave = () => {
        listeners -= 1;
        leave = () => undefined;
      };
      const ended = new AbortController();
      const end = () => {
        leave();
        ended.abort();
      };
      asked.gone.addEventListener('abort', end, { once: true });
      let at: number;
      try {
        at = await startOf(asked);
      } catch (error) {
        end();
        throw error;
      }
      const text = new TextEncoder();
      // Pulled: a client that does not read has nothing read for it.
      return new ReadableStream<Uint8Array>(
        {
          start: (controller) => controller.enqueue(text.encode(`retry: 1000\nid: ${at}\n\n`)),
          async pull(controller) {
            const follows = asked.follow !== 'no';
            const found = await stream.next(at, follows ? heartbeatMs : 0, ended.signal);
            at = found.at(-1)?.id ?? at;
            if (ended.signal.aborted) return;
            if (found.length > 0) controller.enqueue(text.encode(found.map(frame).join('')));
            else if (follows && !stream.stopped) controller.enqueue(text.encode(': heartbeat\n\n'));
            else {
              end();
              controller.close();
            }
          },
          cancel: end,
        },
        { highWaterMark: 1 },
      );
    },
  };
}

function frame({ id, event }: NumberedEvent): string {
  const data = {
    SourceType: event.sourceType,
    SourceIdentifier: event.sourceId,
    Message: event.message,
    Date: new Date(event.atMs).toISOString(),
  };
  return `id: ${id}\ndata: ${JSON.stringify(data)}\n\n`;
}

function malformed(name: string, expected: string) {
  return serviceError('MalformedInput', `${name} must be ${expected}.`);
}
