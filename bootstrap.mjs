#!/usr/bin/env node
// Sets up what a clean clone needs, then runs what was asked for. Plain Node and no dependency: it runs before
// there are any. Each step looks first whether there is anything to do, so a second run is quick and needs no
// network.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));
const oldestNode = [20, 19];
const [command = 'help', ...rest] = process.argv.slice(2);
// The AWS SDK announces that it will want Node 22 in later versions; ours is pinned.
const quietSdk = { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' };
/** Older versions are what is upgraded from. */
const enginesOfTests = ['valkey', 'valkey 8.1', 'valkey 8.0', 'redis', 'memcached'];
/** Each is a folder of bench/ with a main.ts. */
const benches = ['cache', 'control', 'operate', 'watch'];
const larder = join(root, 'apps', 'larder', 'dist', 'main.js');

/** A set-up step that failed, with the command that mends it. */
class SetUpFailed extends Error {
  constructor(message, remedy) {
    super(message);
    this.remedy = remedy;
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof SetUpFailed)) throw error;
  process.stderr.write(`\n✗ ${error.message}\n  What mends it:  ${error.remedy}\n`);
  process.exitCode = 1;
}

async function main() {
  switch (command) {
    case 'setup':
      await setUp(['valkey', 'redis', 'memcached']);
      process.stderr.write(
        '\nEverything is here. "npm start" opens the flash sale, "npm test" runs the tests.\n',
      );
      return 0;
    case 'start':
      await setUp(['valkey']);
      return run(process.execPath, [join(root, 'apps', 'storefront', 'dist', 'main.js'), ...rest]);
    case 'test':
      await setUp(enginesOfTests);
      return test();
    case 'crash-points':
      await setUp(enginesOfTests);
      return run(
        join(root, 'node_modules', '.bin', 'vitest'),
        ['run', '--root', root, 'e2e/crash-points.test.ts', ...rest],
        { ...process.env, ...quietSdk, LARDER_TEST_CRASH_POINTS: 'all' },
      );
    case 'chaos':
      await setUp(['valkey']);
      return lab('e2e', 'chaos', { ...process.env, ...quietSdk });
    case 'model':
    case 'simulate':
      await setUp([]);
      return lab('simulation', command);
    case 'simulate:control':
      await setUp([]);
      return lab('simulation', 'control');
    case 'fuzz:api':
      await setUp(['valkey', 'redis', 'memcached']);
      return lab('simulation', 'fuzz-api', { ...process.env, ...quietSdk });
    case 'check:consistency':
      await setUp(['valkey', 'redis', 'memcached']);
      await installPeers();
      return lab('bench', 'consistency');
    case 'coverage:api':
      await setUp(enginesOfTests);
      return lab('tools', 'api-coverage', { ...process.env, ...quietSdk });
    case 'dashboards':
      await setUp([]);
      return lab('tools', command);
    case 'families':
      await setUp(enginesOfTests);
      return lab('tools', command);
    case 'bench':
      if (!benches.includes(rest[0])) {
        process.stderr.write(`Use: npm run bench -- ${benches.join('|')} [--json FILE]\n`);
        return 2;
      }
      await setUp(['valkey', 'redis', 'memcached']);
      // The service has nobody beside it that could be measured in the same run.
      if (rest[0] !== 'control') await installPeers();
      return lab('bench', rest.shift(), { ...process.env, ...quietSdk });
    default:
      process.stderr.write(
        'Use: npm run setup | npm start [-- --help] | npm test [-- FILE...] | npm run bench -- NAME |\n' +
          '     npm run check:consistency | npm run model | npm run simulate | npm run simulate:control |\n' +
          '     npm run families | npm run dashboards | npm run coverage:api | npm run chaos | npm run crash-points |\n' +
          '     npm run fuzz:api   (each with [-- --help])\n',
      );
      return command === 'help' ? 0 : 2;
  }
}

async function setUp(engines) {
  checkNode();
  await installDependencies();
  await build();
  for (const engine of engines) await installEngine(engine);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) return;
  throw new SetUpFailed(
    `Larder needs Node ${oldestNode.join('.')} or newer; this is ${process.versions.node}.`,
    'install a newer Node, for example from https://nodejs.org, and run the same command again',
  );
}

/** npm's own tree is trusted as long as the lock file is the one it was made from. */
async function installDependencies() {
  await installFrom(root, await readFile(join(root, 'package-lock.json')), 'Install the npm packages');
}

async function installFrom(folder, lock, title) {
  const wanted = createHash('sha256').update(lock).update(process.version).digest('hex');
  const marker = join(folder, 'node_modules', '.larder-installed');
  if ((await readFile(marker, 'utf8').catch(() => '')) === wanted) return;
  await step(title, async () => {
    const args = ['ci', '--prefix', folder, '--no-audit', '--no-fund', '--loglevel', 'error'];
    const code = await quiet('npm', args);
    if (code.exit !== 0)
      throw new SetUpFailed(
        `npm could not install the packages:\n${firstLines(code.output)}`,
        `npm ci --prefix ${folder}`,
      );
    await mkdir(join(folder, 'node_modules'), { recursive: true });
    await writeFile(marker, wanted);
  });
}

/** What we are compared with; nothing of ours depends on it, so it is installed when it is first needed. */
async function installPeers() {
  const bench = join(root, 'bench');
  const lock = await readFile(join(bench, 'package-lock.json'));
  await installFrom(bench, lock, 'Install the peers to compare with');
}

/** Runs the program `<area>/<name>/main.ts`, as built. */
function lab(area, name, env = process.env) {
  return run(process.execPath, [join(root, 'dist', area, name, 'main.js'), ...rest], env);
}

/** The compiler itself knows what changed. */
async function build() {
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  await step('Build', async () => {
    const code = await quiet(process.execPath, [compiler, '-b', root]);
    if (code.exit !== 0)
      throw new SetUpFailed(`The sources do not compile:\n${code.output}`, 'npm run build');
  });
}

/** @param engine its name, and a version when it is not the default one: `valkey 8.1`. */
async function installEngine(engine) {
  const words = engine.split(' ');
  const found = await quiet(process.execPath, [larder, 'engines', 'path', ...words]);
  if (found.exit === 0) return;
  const code = await run(process.execPath, [larder, 'engines', 'install', ...words]);
  if (code !== 0) {
    throw new SetUpFailed(
      `${engine} could not be installed; the reason is above.`,
      `npx larder engines install ${engine}`,
    );
  }
}

async function test() {
  const bin = (name) => join(root, 'node_modules', '.bin', name);
  const checks = [
    ['Check the types of the tests', bin('tsc'), ['-p', join(root, 'tsconfig.test.json')]],
    ['Check style', bin('biome'), ['check', '--error-on-warnings', root]],
  ];
  if (rest.length === 0) {
    for (const [title, file, args] of checks) {
      await step(title, async () => {
        const code = await quiet(file, args);
        if (code.exit !== 0)
          throw new SetUpFailed(code.output, `npx ${[file.split('/').at(-1), ...args].join(' ')}`);
      });
    }
  }
  return run(bin('vitest'), ['run', '--root', root, ...rest], { ...process.env, ...quietSdk });
}

async function step(title, work) {
  const startMs = performance.now();
  const live = process.stderr.isTTY === true;
  if (live) process.stderr.write(`… ${title}`);
  const seconds = () => `${((performance.now() - startMs) / 1_000).toFixed(1)} s`;
  const clear = live ? '\r\u001b[2K' : '';
  try {
    await work();
  } catch (error) {
    process.stderr.write(`${clear}✗ ${title} (${seconds()})\n`);
    throw error;
  }
  process.stderr.write(`${clear}✓ ${title} (${seconds()})\n`);
}

/** npm says what is wrong first and then all it could be asked. */
function firstLines(text) {
  return text.split('\n').slice(0, 25).join('\n');
}

/** Runs a command unseen and keeps what it says. */
function quiet(file, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (chunk) => {
      output = (output + chunk).slice(0, 100_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', reject);
    child.once('close', (exit) => resolve({ exit, output }));
  });
}

/** Runs a command in the foreground; it gets the signals and has the last word. */
function run(file, args, env = process.env) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: 'inherit', env });
    // Ctrl-C reaches the child by the terminal; we wait for it to clean up.
    process.on('SIGINT', () => {});
    process.on('SIGTERM', () => child.kill('SIGTERM'));
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
}
