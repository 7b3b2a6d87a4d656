/** `larder invalidator` and `larder doctor` as processes, over real servers. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { startTestPostgres, type TestPostgres } from '../../../../testing/postgres.ts';
import { waitFor } from '../../../../testing/wait-for.ts';

const root = fileURLToPath(new URL('../../../..', import.meta.url));
const program = join(root, 'apps/larder/bin/larder.mjs');

let engine: TestEngine;
let postgres: TestPostgres;
let folder: string;
let db: pg.Client;
beforeAll(async () => {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  [engine, postgres, folder] = await Promise.all([
    startEngine(),
    startTestPostgres(),
    mkdtemp(join(tmpdir(), 'larder-test-feed-')),
    promisify(execFile)(process.execPath, [tsc, '-b', 'packages/cache', 'apps/larder'], { cwd: root }),
  ]);
  db = new pg.Client(postgres.address);
  db.on('error', () => {});
  await db.connect();
});
afterAll(async () => {
  await db?.end();
  await Promise.all([engine?.stop(), postgres?.remove(), rm(folder, { recursive: true, force: true })]);
});

/** What a user writes, over the built library. */
async function writeConfig(name: string, { source = true, createPublication = true } = {}): Promise<string> {
  const built = (path: string): string =>
    JSON.stringify(pathToFileURL(join(root, 'packages/cache/dist', path)).href);
  const file = join(folder, `${name}.mjs`);
  await writeFile(
    file,
    `import { createCache } from ${built('cache.js')};
import { nodeRedis } from ${built('driver/node-redis.js')};
import { postgresFeed } from ${built('feed/postgres.js')};
export const far = nodeRedis(${JSON.stringify({ host: engine.host, port: engine.port })});
export const cache = createCache({ name: '${name}', far });
cache.define({ name: 'p', key: String, load: async () => null, watches: [{ table: 'public.${name}', key: (row) => row.id }] });
export const postgres = { connection: ${JSON.stringify(postgres.address)}, slot: '${name}', publication: '${name}' };
${source ? `export const source = postgresFeed({ ...postgres, createPublication: ${createPublication} });` : ''}
`,
  );
  return file;
}

interface Line {
  readonly event: string;
  readonly state?: string;
  readonly keysInvalidated?: number;
}

class Running {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  output = '';
  problems = '';

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(process.execPath, [program, ...args], {
      env: { HOME: folder, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout!.on('data', (chunk: Buffer) => {
      this.output += chunk.toString();
    });
    this.child.stderr!.on('data', (chunk: Buffer) => {
      this.problems += chunk.toString();
    });
    this.ended = new Promise((resolve) => this.child.once('close', (code) => resolve(code)));
  }

  get lines(): readonly Line[] {
    return this.output
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);
  }

  saw(state: string): boolean {
    return this.lines.some((line) => line.event === 'feed' && line.state === state);
  }
}

test('it streams, a second one stands by and takes over, and each ends in order', async () => {
  await db.query('CREATE TABLE fleet (id int PRIMARY KEY)');
  const config = await writeConfig('fleet');
  const first = new Running(['invalidator', '--config', config, '--json']);
  await waitFor(() => first.saw('streaming'), Boolean, { what: 'the stream' });
  const second = new Running(['invalidator', '--config', config, '--json']);
  await waitFor(() => second.saw('standby'), Boolean, { what: 'the standby' });
  await db.query('INSERT INTO fleet VALUES (1), (2)');
  await waitFor(() => first.lines.some((line) => line.keysInvalidated === 2), Boolean, {
    what: 'a status with the keys',
  });
  first.child.kill('SIGTERM');
  expect(await first.ended).toBe(0);
  await waitFor(() => second.saw('streaming'), Boolean, { what: 'the takeover' });
  second.child.kill('SIGINT');
  expect(await second.ended).toBe(0);
  expect(first.output + first.problems + second.output).not.toContain(postgres.address.password);
  const { rows } = await db.query(
    "SELECT confirmed_flush_lsn IS NOT NULL AS ok FROM pg_replication_slots WHERE slot_name = 'fleet'",
  );
  expect(rows[0].ok).toBe(true);
});

test('what is set up wrongly ends it with 1 and the statement; a wrong call with 2', async () => {
  await db.query('CREATE TABLE unpublished (id int PRIMARY KEY)');
  const config = await writeConfig('unpublished', { createPublication: false });
  const refused = new Running(['invalidator', '--config', config]);
  expect(await refused.ended).toBe(1);
  expect(refused.problems).toContain('CREATE PUBLICATION "unpublished"');
  const noSource = new Running([
    'invalidator',
    '--config',
    await writeConfig('unsourced', { source: false }),
  ]);
  expect(await noSource.ended).toBe(2);
  expect(noSource.problems).toContain('must export `source`');
  const noFile = new Running(['invalidator', '--config', join(folder, 'nothing.mjs')]);
  expect(await noFile.ended).toBe(2);
});

test('the doctor finds what is wrong, says how to mend it, and is content when it is', async () => {
  await db.query('CREATE TABLE sick (id int, price int)');
  const config = await writeConfig('sick');
  const ill = new Running(['doctor', '--config', config, '--json']);
  expect(await ill.ended).toBe(1);
  const report = JSON.parse(ill.output) as {
    ok: boolean;
    findings: { check: string; level: string; mend?: string }[];
  };
  expect(report.ok).toBe(false);
  const mends = report.findings.filter(({ level }) => level !== 'ok').map(({ mend }) => mend);
  expect(mends).toContain('ALTER TABLE "public"."sick" REPLICA IDENTITY FULL;');
  expect(mends.join('\n')).toContain('CREATE PUBLICATION "sick" FOR TABLE "public"."sick"');
  expect(mends.join('\n')).toContain("max_slot_wal_keep_size = '4GB'");
  for (const mend of mends.filter((each) => each !== undefined && !each.includes('ALTER SYSTEM')))
    await db.query(mend!);
  const well = new Running(['doctor', '--config', config]);
  expect(await well.ended).toBe(0);
  expect(well.output).toMatch(/✓ engine: .* answers/);
  expect(well.output).toMatch(/✗|!/);
  expect(ill.output + well.output).not.toContain(postgres.address.password);
});

test('the doctor without a config: from a file, from the environment, and a slot that nobody consumes', async () => {
  const { host, port, user, password, database } = postgres.address;
  const file = join(folder, 'url');
  await writeFile(file, `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}\n`);
  await db.query("SELECT pg_create_logical_replication_slot('left', 'pgoutput')");
  await db.query('CREATE TABLE plain (id int PRIMARY KEY)');
  await db.query('CREATE PUBLICATION plain FOR TABLE plain WITH (publish_via_partition_root = true)');
  const args = ['doctor', '--slot', 'left', '--publication', 'plain', '--table', 'public.plain:id'];
  const fromFile = new Running([...args, '--postgres-url-file', file]);
  expect(await fromFile.ended).toBe(0);
  expect(fromFile.output).toContain("SELECT pg_drop_replication_slot('left')");
  const fromEnvironment = new Running([...args, '--json'], {
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: user,
    PGPASSWORD: password,
    PGDATABASE: database,
  });
  expect(await fromEnvironment.ended).toBe(0);
  const wrong = new Running(args);
  expect(await wrong.ended).toBe(2);
  const away = new Running(args, { PGHOST: '127.0.0.1', PGPORT: '1', PGUSER: 'x', PGPASSWORD: 'hush' });
  expect(await away.ended).toBe(1);
  expect(away.output + away.problems).not.toContain('hush');
});
