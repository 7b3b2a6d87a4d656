/** A forked process's end of the conversation with its parent. */
import type { FromWorker, ToWorker } from './worker-process.ts';

export type Handlers = Readonly<Record<string, (value: never) => unknown>>;

/** Ends the process with the parent. @param open makes the handlers out of what the parent gave at the start */
export function serve<Start>(open: (start: Start) => Promise<Handlers>): void {
  let handlers: Handlers = {};
  const answer = async (number: number, run: () => unknown): Promise<void> => {
    try {
      reply({ kind: 'result', number, value: await run() });
    } catch (error) {
      reply({ kind: 'error', number, message: error instanceof Error ? (error.stack ?? '') : String(error) });
    }
  };
  process.on('disconnect', () => process.exit());
  process.on('message', (message: ToWorker) => {
    if (message.kind === 'start') {
      void answer(0, async () => {
        handlers = await open(message.value as Start);
      });
      return;
    }
    const { method, number, value } = message;
    void answer(number, () => {
      const handler = handlers[method];
      if (handler === undefined) throw new Error(`No method ${method}.`);
      return handler(value as never);
    });
  });
}

export function emitEvent(name: string, value: unknown): void {
  reply({ kind: 'event', name, value });
}

function reply(message: FromWorker): void {
  // A parent that went away has its own reasons; `disconnect` ends this process.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}
