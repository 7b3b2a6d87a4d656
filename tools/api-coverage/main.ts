/**
 * Runs the tests that look at the API and writes docs/reference/api-coverage.md from what they saw; with --json FILE
 * also the same as data. Fails, and leaves the page as it is, when a test failed or the page's green rows are not all
 * green any more.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { elastiCache, operationNames } from '@larder/contract/elasticache/model';
import type { Sighting } from '../../testing/api-coverage.ts';
import { environmentWith } from '../../testing/config.ts';
import { coverageOf, lossesSince } from './coverage.ts';
import { greenRows, renderTable } from './table.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const page = join(root, 'docs', 'reference', 'api-coverage.md');
/** Folders with tests that ask a whole service, or the API alone. */
const tests = ['e2e/', 'apps/larder/src/api/'];

const { values, positionals } = parseArgs({
  options: { json: { type: 'string' } },
  // Tests to run instead of all, to try something; the page is then left as it is.
  allowPositionals: true,
});
const place = await mkdtemp(join(tmpdir(), 'larder-api-coverage-'));
try {
  process.exitCode = await main(join(place, 'sightings.jsonl'));
} finally {
  await rm(place, { recursive: true, force: true });
}

async function main(file: string): Promise<number> {
  const failed = (await runTests(file)) !== 0;
  const coverage = coverageOf(
    await readSightings(file),
    { operations: operationNames, errors: [...elastiCache.errors.values()] },
    await ruleLookup(),
  );
  const before = await readFile(page, 'utf8').catch(() => '');
  const losses = positionals.length > 0 ? [] : lossesSince(greenRows(before), coverage);
  if (values.json !== undefined) {
    await writeFile(resolve(values.json), `${JSON.stringify({ ...coverage, losses }, undefined, 2)}\n`);
  }
  const { effect, operations, refusal, errorsSeen, errors } = coverage.totals;
  process.stdout.write(
    `${effect} of ${operations} operations with an effect seen, ${refusal} that say they have none; ` +
      `${errorsSeen} of ${errors} error codes seen.\n`,
  );
  for (const loss of losses) process.stderr.write(`✗ ${loss}\n`);
  if (failed) process.stderr.write('✗ A test failed; its output is above.\n');
  if (failed || losses.length > 0) return 1;
  if (positionals.length === 0) await writeFile(page, renderTable(coverage));
  return 0;
}

function runTests(file: string): Promise<number> {
  const program = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const wanted = positionals.length > 0 ? positionals : [...tests, '--exclude', 'e2e/cockpit.test.ts'];
  const child = spawn(process.execPath, [program, 'run', '--root', root, ...wanted], {
    stdio: 'inherit',
    env: environmentWith({ LARDER_API_COVERAGE: file }),
  });
  return new Promise((done, reject) => {
    child.once('error', reject);
    child.once('close', (code) => done(code ?? 1));
  });
}

async function readSightings(file: string): Promise<Sighting[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Sighting);
}

/** An error can be produced when the sources, tests left out, name it. */
async function ruleLookup(): Promise<(shapeName: string) => boolean> {
  const texts: string[] = [];
  for (const folder of ['packages/control/src', 'packages/contract/src', 'apps/larder/src']) {
    for (const path of await readdir(join(root, folder), { recursive: true })) {
      if (!path.endsWith('.ts') || /\.(test|test-support)\.ts$/.test(path)) continue;
      texts.push(await readFile(join(root, folder, path), 'utf8'));
    }
  }
  const sources = texts.join('\n');
  return (shapeName) => sources.includes(`'${shapeName}'`);
}
