/** A real Prometheus for tests: Debian's, in a folder of its own. */
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debianTree } from './debian-packages.ts';
import { waitFor } from './wait-for.ts';

export interface PrometheusSample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [atSeconds: number, value: string];
}

export interface TestPrometheus {
  query(expr: string): Promise<PrometheusSample[]>;
  /** `data` of an answer of its API. */
  get(path: string): Promise<unknown>;
  stop(): Promise<void>;
}

const tree = () => debianTree('prometheus', ['prometheus', 'libc6']);

/** Runs Debian's promtool to its end. */
export async function promtool(args: readonly string[]): Promise<{ code: number; output: string }> {
  const { tree: root, loader, libraries } = await tree();
  return new Promise((resolve) => {
    const child = execFile(
      loader,
      ['--library-path', libraries, join(root, 'usr/bin/promtool'), ...args],
      { timeout: 30_000 },
      (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, output: stdout + stderr }),
    );
  });
}

/** Scrapes every second. @param token asked for by the target. */
export async function startPrometheus(options: {
  readonly target: string;
  readonly rulesFile: string;
  readonly token: string;
}): Promise<TestPrometheus> {
  const { tree: root, loader, libraries } = await tree();
  const folder = await mkdtemp(join(tmpdir(), 'larder-prometheus-'));
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: [options.rulesFile],
    scrape_configs: [
      {
        job_name: 'larder',
        authorization: { credentials: options.token },
        static_configs: [{ targets: [options.target] }],
      },
    ],
  };
  // JSON is YAML.
  await writeFile(join(folder, 'prometheus.yml'), JSON.stringify(config));
  const port = await freePort();
  const child = spawn(
    loader,
    [
      ...['--library-path', libraries, join(root, 'usr/bin/prometheus')],
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = `http://127.0.0.1:${port}`;
  await waitFor(
    async () => {
      if (child.exitCode !== null) throw new Error(`Prometheus ended: ${log.slice(-2_000)}`);
      return fetch(`${url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
    },
    (ready) => ready,
    { what: 'Prometheus to be ready' },
  );
  const get = async (path: string) => {
    const response = await fetch(`${url}/api/v1/${path}`);
    const body = (await response.json()) as { status: string; data: unknown; error?: string };
    if (body.status !== 'success') throw new Error(`${path}: ${body.error}`);
    return body.data;
  };
  return {
    get,
    async query(expr) {
      const data = (await get(`query?query=${encodeURIComponent(expr)}`)) as { result: PrometheusSample[] };
      return data.result;
    },
    async stop() {
      child.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
