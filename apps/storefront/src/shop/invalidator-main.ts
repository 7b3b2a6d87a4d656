/**
 * The process that reads PostgreSQL's change feed and invalidates what the shop cached. One runs; a second
 * one waits for the replication slot. Configuration and ready message as in main.ts.
 */
import { checkInvalidatorConfiguration, receiveConfiguration } from './configuration.ts';
import { startInvalidator } from './invalidator.ts';
import { runUntilTold } from './process-life.ts';

await runUntilTold(async (reportError) => {
  const configuration = checkInvalidatorConfiguration(await receiveConfiguration());
  const invalidator = await startInvalidator(configuration, reportError);
  return { ready: {}, close: () => invalidator.close() };
});
