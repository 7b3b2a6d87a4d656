/** Numbered messages to every open cockpit page, over Server-Sent Events. */
import type { Point, SaleEvent } from '../sale/report.ts';
import type { CockpitState } from './conductor.ts';

export type LiveMessage =
  | { readonly type: 'state'; readonly state: CockpitState }
  | { readonly type: 'point'; readonly point: Point }
  | { readonly type: 'event'; readonly event: SaleEvent };

export interface LiveStream {
  publish(message: LiveMessage): void;
  /**
   * An SSE body: first all that came after `lastEventId` (or, without one, what there is), then what comes.
   * Ends when the page goes away.
   */
  open(lastEventId: string | undefined): ReadableStream<Uint8Array>;
  close(): void;
}

const heartbeatMs = 15_000;
/** Ten minutes of points at two a second. */
const mostKept = 1_200;
/** A page that reads this slowly is cut off; it comes back by itself and asks for what it missed. */
const mostQueued = 500;

export function liveStream(): LiveStream {
  const kept: { id: number; message: LiveMessage }[] = [];
  const listeners = new Set<ReadableStreamDefaultController<Uint8Array>>();
  const encoder = new TextEncoder();
  // Ids go on after a restart, so that a page left open never takes new messages for old ones.
  let nextId = Date.now();
  let state: LiveMessage | undefined;

  const frame = (id: number, message: LiveMessage): Uint8Array =>
    encoder.encode(`id: ${id}\ndata: ${JSON.stringify(message)}\n\n`);

  function send(bytes: Uint8Array): void {
    for (const listener of listeners) {
      try {
        if ((listener.desiredSize ?? 0) < -mostQueued) throw new Error('too slow');
        listener.enqueue(bytes);
      } catch {
        listeners.delete(listener);
        try {
          listener.close();
        } catch {
          // The page closed it first.
        }
      }
    }
  }
  const heartbeat = setInterval(() => send(encoder.encode(': still here\n\n')), heartbeatMs);

  return {
    publish(message) {
      const id = nextId++;
      // Only the newest state is of use to anyone.
      if (message.type === 'state') state = message;
      else {
        kept.push({ id, message });
        if (kept.length > mostKept) kept.shift();
      }
      send(frame(id, message));
    },
    open(lastEventId) {
      const after = /^\d+$/.test(lastEventId ?? '') ? Number(lastEventId) : 0;
      let own: ReadableStreamDefaultController<Uint8Array>;
      return new ReadableStream<Uint8Array>({
        start(controller) {
          own = controller;
          controller.enqueue(encoder.encode('retry: 1000\n\n'));
          for (const { id, message } of kept) if (id > after) controller.enqueue(frame(id, message));
          if (state !== undefined) controller.enqueue(frame(nextId++, state));
          listeners.add(controller);
        },
        cancel() {
          listeners.delete(own);
        },
      });
    },
    close() {
      clearInterval(heartbeat);
      for (const listener of listeners) {
        try {
          listener.close();
        } catch {
          // The page closed it first.
        }
      }
      listeners.clear();
    },
  };
}
