/** (pure) What stands in the way of a resource's logs. */
import type { LogType } from '@larder/fleet/log-delivery/log-stream';

/** Log type -> why it was not delivered last, as a sentence for customers. */
export type LogFailures = ReadonlyMap<LogType, string>;

export const noFailures: LogFailures = new Map();
