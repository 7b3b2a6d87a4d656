/** The only place that reads the environment. */
import { type Directories, defaultDirectories } from '@larder/engine/store/directories';
import { type CrashPoint, parseCrashPoint } from './crash-point.ts';

export interface Config {
  readonly directories: Directories;
  readonly searchPath: string;
  /** Colours and redrawn lines are for terminals that want them. */
  readonly plain: boolean;
  /** What PostgreSQL's own programs take from PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE and PGSSLMODE. */
  readonly postgres: PostgresVariables;
  /** OpenTelemetry's own variables; undefined: nothing is exported. */
  readonly otlp: OtlpConfig | undefined;
  /** Tests only. */
  readonly crashPoint: CrashPoint | undefined;
}

export interface OtlpConfig {
  /** Of the collector, for HTTP: `http://127.0.0.1:4318`. */
  readonly endpoint: string;
  readonly exportIntervalMs: number;
}

export interface PostgresVariables {
  readonly host?: string;
  readonly port?: string;
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
  readonly sslMode?: string;
}

export const defaultPort = 7070;
/** Sentinel's own. */
export const defaultSentinelPort = 26_379;
export const defaultRegion = 'us-east-1';
/** What emulators and self-run services use; a real account number could be somebody's. */
export const accountId = '000000000000';

export function readConfig(): Config {
  return {
    directories: defaultDirectories(process.env, process.getuid?.()),
    searchPath: process.env.PATH ?? '',
    plain: process.env.NO_COLOR !== undefined || process.env.TERM === 'dumb',
    otlp: otlpOf(process.env.OTEL_EXPORTER_OTLP_ENDPOINT, process.env.OTEL_METRIC_EXPORT_INTERVAL),
    crashPoint: parseCrashPoint(process.env.LARDER_CRASH_POINT),
    postgres: given({
      host: process.env.PGHOST,
      port: process.env.PGPORT,
      user: process.env.PGUSER,
      password: process.env.PGPASSWORD,
      database: process.env.PGDATABASE,
      sslMode: process.env.PGSSLMODE,
    }),
  };
}

function given(variables: Readonly<Record<keyof PostgresVariables, string | undefined>>): PostgresVariables {
  return Object.fromEntries(
    Object.entries(variables).filter(([, value]) => value !== undefined && value !== ''),
  );
}

/** Headers, with which collectors are asked, and timeouts the exporters read themselves. */
function otlpOf(endpoint: string | undefined, interval: string | undefined): OtlpConfig | undefined {
  if (endpoint === undefined || endpoint === '') return undefined;
  const exportIntervalMs = Number(interval);
  return { endpoint, exportIntervalMs: exportIntervalMs >= 100 ? exportIntervalMs : 60_000 };
}
