/**
 * The process that reads PostgreSQL's change feed and invalidates what the shop cached. One runs; a second
 * one waits for the replication slot. Configuration and ready message as in main.ts; to a parent's message
 * `{"type":"status"}` it answers `{"type":"status","status":…}`.
 */
import { checkInvalidatorConfiguration, receiveConfiguration } from './configuration.ts';
import { startInvalidator } from './invalidator.ts';
import { runUntilTold } from './process-life.ts';

await runUntilTold(async () => {
  const invalidator = await startInvalidator(checkInvalidatorConfiguration(await receiveConfiguration()));
  return { ready: {}, status: () => invalidator.status(), close: () => invalidator.close() };
});
