/** `larder doctor`: is what a cache stands on as the cache needs it? Changes nothing; no secret is printed. */
import { readFile } from 'node:fs/promises';
import type { Driver } from '@larder/cache';
import type { PostgresConnection } from '@larder/cache/postgres';
import { type CacheModule, loadCacheModule } from '../cache-module.ts';
import type { Config, PostgresVariables } from '../config.ts';
import { examinePostgres, type WatchedTable } from '../doctor/examine-postgres.ts';
import { engineFindings, type Finding } from '../doctor/findings.ts';
import { UsageError } from '../usage-error.ts';

export interface DoctorOptions {
  readonly config?: string;
  readonly postgresUrlFile?: string;
  readonly slot: string;
  readonly publication: string;
  readonly table: readonly string[];
  readonly json: boolean;
}

const engineTimeoutMs = 5_000;

/** Prints its findings; sets the exit code 1 when one of them is an error. */
export async function runDoctor(config: Config, options: DoctorOptions): Promise<void> {
  const findings: Finding[] = [];
  if (options.config === undefined) {
    const connection = await connectionOf(config.postgres, options.postgresUrlFile);
    const { slot, publication } = options;
    findings.push(
      ...(await examinePostgres({ connection, slot, publication, tables: options.table.map(parseTable) })),
    );
  } else {
    const module = await loadCacheModule(options.config);
    try {
      findings.push(...(await examineModule(module, options.config)));
    } finally {
      await module.cache.close();
    }
  }
  print(findings, options.json);
  if (findings.some(({ level }) => level === 'error')) process.exitCode = 1;
}

async function examineModule({ cache, postgres, far }: CacheModule, file: string): Promise<Finding[]> {
  if (postgres === undefined && far === undefined) {
    throw new UsageError(
      `${file} must export \`postgres\` ({ connection, slot, publication }) or \`far\` (the driver), for there to be something to check.`,
    );
  }
  const findings: Finding[] = [];
  if (postgres !== undefined)
    findings.push(...(await examinePostgres({ ...postgres, tables: await watchedTables(cache) })));
  if (far !== undefined && 'nodes' in far) findings.push(...(await examineEngines(far)));
  else if (far !== undefined) {
    findings.push({
      check: 'engine',
      level: 'ok',
      message: `${far.name} has no settings that a cache needs.`,
    });
  }
  return findings;
}

/** What the definitions watch, as an invalidator tells its source. */
async function watchedTables(cache: CacheModule['cache']): Promise<readonly WatchedTable[]> {
  let tables: readonly WatchedTable[] = [];
  const invalidator = cache.invalidator({
    name: 'doctor',
    async start(watched) {
      tables = watched;
    },
    async horizon() {
      throw new Error('The doctor has no stream.');
    },
    barrier: async () => 0n,
    requestProgress() {},
    acknowledge() {},
    async stop() {},
  });
  await invalidator.start();
  await invalidator.stop();
  return tables;
}

async function examineEngines(far: Driver): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const node of far.nodes) {
    const name = `${node.host}:${node.port}`;
    let up: () => void = () => {};
    let down: (cause: Error) => void = () => {};
    const connected = new Promise<void>((resolve, reject) => {
      up = resolve;
      down = reject;
    });
    const link = far.openLink(node, {
      up: () => up(),
      down: (cause) => down(cause ?? new Error('The connection ended.')),
    });
    const timer = setTimeout(
      () => down(new Error(`No answer within ${engineTimeoutMs} ms.`)),
      engineTimeoutMs,
    );
    try {
      await connected;
      const info = String(await link.send(['INFO']));
      // Providers forbid CONFIG; INFO says the policy too.
      const policy = await link.send(['CONFIG', 'GET', 'maxmemory-policy']).then(
        (reply) => (Array.isArray(reply) && typeof reply[1] === 'string' ? reply[1] : undefined),
        () => undefined,
      );
      findings.push(
        { check: 'engine', level: 'ok', message: `${name} answers.` },
        ...engineFindings(info, policy),
      );
    } catch (error) {
      findings.push({
        check: 'engine',
        level: 'error',
        message: `${name} can't be reached: ${(error as Error).message}`,
      });
    } finally {
      clearTimeout(timer);
      link.close();
    }
  }
  return findings;
}

async function connectionOf(
  variables: PostgresVariables,
  urlFile: string | undefined,
): Promise<PostgresConnection> {
  if (urlFile === undefined) {
    const { host, user, password, database, sslMode } = variables;
    if (host === undefined || user === undefined) {
      throw new UsageError(
        'Name the database: --config FILE, --postgres-url-file FILE, or PGHOST, PGUSER, PGDATABASE, … in the environment.',
      );
    }
    return {
      host,
      port: Number(variables.port ?? 5432),
      user,
      database: database ?? user,
      ...(password === undefined ? {} : { password }),
      ...(sslMode === undefined || sslMode === 'disable' ? {} : { ssl: sslOf(sslMode) }),
    };
  }
  const text = (await readFile(urlFile, 'utf8')).trim();
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new UsageError(`${urlFile} doesn't hold a URL like postgres://user:password@host:5432/database.`);
  }
  if (!/^postgres(ql)?:$/.test(url.protocol))
    throw new UsageError(`${urlFile} doesn't hold a postgres:// URL.`);
  const sslMode = url.searchParams.get('sslmode');
  const user = decodeURIComponent(url.username);
  return {
    host: url.hostname,
    port: Number(url.port || 5432),
    user,
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)) || user,
    ...(sslMode === null || sslMode === 'disable' ? {} : { ssl: sslOf(sslMode) }),
  };
}

/** As libpq: only verify-ca and verify-full look at the certificate. */
function sslOf(mode: string): { readonly rejectUnauthorized: boolean } {
  return { rejectUnauthorized: mode.startsWith('verify') };
}

function parseTable(text: string): WatchedTable {
  const match = /^([^.:]+\.[^.:]+):(.+)$/.exec(text);
  if (match === null)
    throw new UsageError(
      `--table takes a table with its schema and columns, public.products:id,slug, not ${JSON.stringify(text)}.`,
    );
  return { table: match[1]!, columns: match[2]!.split(','), appendOnly: false };
}

function print(findings: readonly Finding[], json: boolean): void {
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ ok: findings.every(({ level }) => level !== 'error'), findings })}\n`,
    );
    return;
  }
  const marks = { ok: '✓', warning: '!', error: '✗' } as const;
  for (const { check, level, message, mend, mendOnRds } of findings) {
    process.stdout.write(`${marks[level]} ${check}: ${message}\n`);
    if (mend !== undefined) process.stdout.write(`    ${mend}\n`);
    if (mendOnRds !== undefined) process.stdout.write(`    On RDS: ${mendOnRds}\n`);
  }
}
