/** (pure) What a delivered log is of, and where its file is, whatever its destination is called. */
import type { EngineName } from '@larder/engine/engine';

export type LogType = 'slow-log' | 'engine-log';
export type LogFormat = 'json' | 'text';

/** The node that a log is of. */
export interface LogSource {
  readonly nodeId: string;
  readonly engine: EngineName;
  readonly clusterId: string;
  /** `0001`, ... */
  readonly cacheNodeId: string;
}

/**
 * `<destination>/elasticache/<engine>/<cluster>/<node>/<log type>`, as ElastiCache names log streams. Never leads up:
 * an empty part of the destination is left out, and `.` and `..` are written with `%2E`, which no destination has.
 */
export function logPath(destination: string, source: LogSource, logType: LogType): string {
  const folders = destination
    .split('/')
    .filter((part) => part !== '')
    .map((part) => (part === '.' || part === '..' ? part.replaceAll('.', '%2E') : part));
  return [...folders, 'elasticache', source.engine, source.clusterId, source.cacheNodeId, logType].join('/');
}
