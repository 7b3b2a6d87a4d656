/** How the shop's processes begin and end: a ready message, errors on standard error, one orderly stop. */

export interface Running {
  /** Fields of the ready message. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** What a parent that asks for it is told. */
  status?(): unknown;
  close(): Promise<void>;
}

const reportEveryMs = 1_000;

/** Ends the process with 0 after an orderly stop, with 1 and one sentence when it could not start. */
export async function runUntilTold(
  start: (reportError: (error: unknown) => void) => Promise<Running>,
): Promise<void> {
  const reportError = errorReporter();
  let running: Running;
  try {
    running = await start(reportError);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    running.close().then(
      () => process.exit(0),
      (error) => {
        reportError(error);
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  process.once('disconnect', stop);
  process.on('message', (asked: unknown) => {
    const isStatus =
      typeof asked === 'object' && asked !== null && 'type' in asked && asked.type === 'status';
    if (isStatus && running.status !== undefined)
      process.send?.({ type: 'status', status: running.status() });
  });
  const message = { type: 'ready', ...running.ready };
  if (process.send !== undefined) process.send(message);
  else process.stdout.write(`${JSON.stringify(message)}\n`);
}

/** A database that is away can fail thousands of requests a second: one report of them says enough. */
function errorReporter(): (error: unknown) => void {
  let quietUntil = 0;
  let unreported = 0;
  return (error) => {
    if (performance.now() < quietUntil) {
      unreported += 1;
      return;
    }
    quietUntil = performance.now() + reportEveryMs;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`${text}\n${unreported > 0 ? `(and ${unreported} more)\n` : ''}`);
    unreported = 0;
  };
}
