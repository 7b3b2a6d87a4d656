/**
 * The package as a stranger gets it: packed, unpacked elsewhere, compiled against and run there, without a network.
 * LARDER_TEST_NODES names other versions of Node to run it on.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { otherNodes } from '../../../../testing/config.ts';
import { importsOf } from '../../../../tools/tidy.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../../..', import.meta.url));
const home = join(root, 'packages/cache');
const compiler = join(root, 'node_modules/typescript/bin/tsc');

interface Manifest {
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>;
  readonly [field: string]: unknown;
}

let place: string;
let tarball: string;
/** As npm lists them. */
let files: ReadonlySet<string>;
let manifest: Manifest;
/** Of each way in, as a user imports it. */
let specifiers: readonly string[];
let consumer: string;

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'larder-test-package-'));
  // A build of its own: the working tree's may hold what sources that are gone left behind.
  const tree = join(place, 'tree');
  const staging = join(tree, 'packages/cache');
  await mkdir(staging, { recursive: true });
  await cp(join(root, 'tsconfig.base.json'), join(tree, 'tsconfig.base.json'));
  await symlink(join(root, 'node_modules'), join(tree, 'node_modules'));
  for (const part of ['package.json', 'tsconfig.json', 'README.md', 'LICENSE', 'docs', 'src']) {
    await cp(join(home, part), join(staging, part), { recursive: true });
  }
  await run(process.execPath, [compiler, '-p', staging]);
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', place], { cwd: staging });
  const [packed] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  tarball = join(place, packed.filename);
  files = new Set(packed.files.map(({ path }) => path));
  consumer = join(place, 'consumer');
  await mkdir(consumer);
  await writeFile(join(consumer, 'package.json'), '{ "private": true, "type": "module" }');
  const offline = ['--offline', '--ignore-scripts', '--no-audit', '--no-fund'];
  await run('npm', ['install', tarball, ...offline], { cwd: consumer });
  manifest = JSON.parse(await readPacked('package.json')) as Manifest;
  specifiers = Object.entries(manifest.exports)
    .filter(([, target]) => typeof target !== 'string')
    .map(([path]) => `@larder/cache${path.slice(1)}`);
});
afterAll(() => rm(place, { recursive: true, force: true }));

function readPacked(path: string): Promise<string> {
  return readFile(join(consumer, 'node_modules/@larder/cache', path), 'utf8');
}

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

describe('what is in it', () => {
  test('no tests and nothing that only tests need', () => {
    const unwanted = [...files].filter((path) =>
      /\.test\.|(^|\/)(testing|publish)\/|tsbuildinfo|\.tgz$/.test(path),
    );
    expect(unwanted).toEqual([]);
    expect(files).toContain('LICENSE');
  });

  test('everything that it points to', async () => {
    const missing: string[] = [];
    const points = (from: string, to: string): void => {
      const path = posix.join(posix.dirname(from), to);
      if (!files.has(path)) missing.push(`${from}: ${to}`);
    };
    for (const target of Object.values(manifest.exports)) {
      for (const path of typeof target === 'string' ? [target] : Object.values(target)) {
        points('package.json', path);
      }
    }
    for (const path of files) {
      if (path.endsWith('.map')) {
        const { sources } = JSON.parse(await readPacked(path)) as { sources: readonly string[] };
        for (const source of sources) points(path, source);
      }
      if (path.endsWith('.md')) {
        for (const [, link] of (await readPacked(path)).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
          if (!/^https?:/.test(link!)) points(path, link!);
        }
      }
    }
    expect(missing).toEqual([]);
  });

  test('no dependencies; all that it may import is an optional peer', async () => {
    expect(manifest).not.toHaveProperty('dependencies');
    expect(manifest).not.toHaveProperty('optionalDependencies');
    expect(manifest.sideEffects).toBe(false);
    const peers = Object.keys(manifest.peerDependencies);
    expect(peers.filter((peer) => manifest.peerDependenciesMeta[peer]?.optional !== true)).toEqual([]);
    const imported = new Set<string>();
    for (const path of files) {
      if (!/^dist\/.*\.(js|d\.ts)$/.test(path)) continue;
      for (const { from } of importsOf((await readPacked(path)).replaceAll('"', "'"))) {
        if (!from.startsWith('.') && !isBuiltin(from)) imported.add(packageOf(from));
      }
    }
    expect([...imported].filter((name) => !peers.includes(name))).toEqual([]);
  });

  test('the entry loads the core alone', async () => {
    const seen = new Set<string>();
    const bare = new Set<string>();
    const visit = async (path: string): Promise<void> => {
      if (seen.has(path)) return;
      seen.add(path);
      for (const { from, typeOnly } of importsOf(await readPacked(path))) {
        if (typeOnly) continue;
        if (from.startsWith('.')) await visit(posix.join(posix.dirname(path), from));
        else bare.add(from);
      }
    };
    await visit('dist/cache.js');
    expect([...bare].filter((name) => !isBuiltin(name))).toEqual([]);
    const others =
      /^dist\/(adapters|analytics|driver|lambda|memcached|session|structures|testkit)\/|postgres|mysql/;
    expect([...seen].filter((path) => others.test(path))).toEqual([]);
    expect(seen).toContain('dist/definition.js');
  });
});

describe('what tools say of it', () => {
  test('publint', async () => {
    const { messages } = await publint({
      pack: { tarball: (await readFile(tarball)).buffer as ArrayBuffer },
      strict: true,
    });
    expect(messages).toEqual([]);
  });

  test('are the types wrong?', async () => {
    const attw = join(root, 'node_modules/@arethetypeswrong/cli/dist/index.js');
    const flags = ['--profile', 'esm-only', '--no-definitely-typed', '--format', 'json'];
    const { stdout } = await run(process.execPath, [attw, tarball, ...flags], { maxBuffer: 2 ** 26 });
    const { analysis } = JSON.parse(stdout) as {
      analysis: { entrypoints: Record<string, { resolutions: Record<string, { resolution?: unknown }> }> };
    };
    const typed = Object.entries(analysis.entrypoints)
      .filter(
        ([, { resolutions }]) => resolutions['node16-esm']?.resolution && resolutions.bundler?.resolution,
      )
      .map(([path]) => posix.join('@larder/cache', path));
    expect(typed).toEqual(expect.arrayContaining([...specifiers]));
  });
});

/** From now on these can be resolved where the package is installed. */
async function bring(names: readonly string[]): Promise<void> {
  for (const name of names) {
    const link = join(consumer, 'node_modules', name);
    await mkdir(dirname(link), { recursive: true });
    const from = [join(home, 'node_modules', name), join(root, 'node_modules', name)];
    const target = await Promise.any(
      from.map((path) => readFile(join(path, 'package.json')).then(() => path)),
    );
    await symlink(target, link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

describe('in use', () => {
  const everything = () =>
    `${specifiers.map((from, i) => `import * as way${i} from '${from}';`).join('\n')}
export const ways: readonly object[] = [${specifiers.map((_, i) => `way${i}`).join(', ')}];
`;

  beforeAll(async () => {
    await cp(join(home, 'src/testing/consumer.ts'), join(consumer, 'consumer.ts'));
    await writeFile(
      join(consumer, 'main.ts'),
      "import { main } from './consumer.js';\nconsole.log(await main());\n",
    );
    await writeFile(join(consumer, 'everything.ts'), everything());
    await bring(['@types/node', 'undici-types']);
  });

  test.each([
    ['nodenext', 'nodenext'],
    ['bundler', 'esnext'],
  ])('compiles strictly with moduleResolution %s, its own declarations too', async (resolution, module) => {
    await bring([...Object.keys(manifest.peerDependencies), '@types/pg', '@types/express-session']);
    const compilerOptions = {
      module,
      moduleResolution: resolution,
      target: 'es2022',
      lib: ['es2023', 'dom'],
      types: ['node'],
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      verbatimModuleSyntax: true,
      // Declarations of others aren't our business; ours are checked below.
      skipLibCheck: true,
      outDir: 'out',
    };
    const project = join(consumer, `tsconfig.${resolution}.json`);
    await writeFile(project, JSON.stringify({ compilerOptions, files: ['main.ts', 'everything.ts'] }));
    const { stdout } = await run(process.execPath, [compiler, '-p', project], { cwd: consumer }).catch(
      (error: { stdout: string }) => error,
    );
    expect(stdout).toBe('');
    const checked = { ...compilerOptions, skipLibCheck: false, noEmit: true };
    await writeFile(
      project,
      JSON.stringify({ compilerOptions: checked, files: ['main.ts', 'everything.ts'] }),
    );
    const all = await run(process.execPath, [compiler, '-p', project], { cwd: consumer }).catch(
      (error: { stdout: string }) => error,
    );
    expect(all.stdout.split('\n').filter((line) => line.includes('@larder/cache/'))).toEqual([]);
  });

  test.each([process.execPath, ...otherNodes])('runs on %s', async (node) => {
    await bring([...Object.keys(manifest.peerDependencies)]);
    const main = await run(node, ['out/main.js'], { cwd: consumer });
    expect(main.stdout).toContain('misses: 1');
    // Node's own message on stderr, for example of a feature that isn't stable there, would be the users' as well.
    expect(main.stderr).toBe('');
    const program = `
      import { createRequire } from 'node:module';
      const require = createRequire(import.meta.url);
      for (const from of ${JSON.stringify(specifiers)}) {
        const way = await import(from);
        if (Object.keys(way).length === 0) throw new Error(from + ' exports nothing.');
        require(from);
      }
      console.log(process.version);`;
    await writeFile(join(consumer, 'ways.mjs'), program);
    const { stdout } = await run(node, ['ways.mjs'], { cwd: consumer });
    expect(stdout).toMatch(/^v\d+\./);
  });

  test('without the peers: each way in works, or names the peer that it needs', async () => {
    const bare = join(place, 'bare');
    await mkdir(bare);
    await writeFile(join(bare, 'package.json'), '{ "private": true, "type": "module" }');
    await cp(join(consumer, 'node_modules/@larder'), join(bare, 'node_modules/@larder'), { recursive: true });
    const program = `
      const outcomes = {};
      for (const from of ${JSON.stringify(specifiers)}) {
        outcomes[from] = await import(from).then(() => '', (error) => error.code + ' ' + error.message);
      }
      console.log(JSON.stringify(outcomes));`;
    await writeFile(join(bare, 'ways.mjs'), program);
    const { stdout } = await run(process.execPath, ['ways.mjs'], { cwd: bare });
    const outcomes = JSON.parse(stdout) as Record<string, string>;
    expect(outcomes['@larder/cache']).toBe('');
    const peers = Object.keys(manifest.peerDependencies);
    const missing = (outcome: string): string =>
      /^ERR_MODULE_NOT_FOUND Cannot find package '([^']+)'/.exec(outcome)?.[1] ?? outcome;
    const unexplained = Object.entries(outcomes).filter(
      ([, outcome]) => outcome !== '' && !peers.includes(packageOf(missing(outcome))),
    );
    expect(unexplained).toEqual([]);
  });
});
