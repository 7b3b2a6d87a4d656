/**
 * The rules of the house that a program can check, over the sources as text. `tidy.test.ts` runs them on this
 * repository and tests each rule on small examples.
 */

export interface SourceFile {
  /** From the root of the repository, with `/`. */
  readonly path: string;
  readonly text: string;
}

export interface Finding {
  readonly rule: string;
  readonly path: string;
  readonly detail: string;
}

/** Which of our packages a package may import. Arrows go one way. */
export const arrows: Readonly<Record<string, readonly string[]>> = {
  'packages/contract': [],
  'packages/engine': ['contract'],
  'packages/fleet': ['contract', 'engine'],
  'packages/metrics': ['contract', 'engine'],
  'packages/control': ['contract', 'engine', 'fleet', 'metrics'],
  'packages/cache': [],
  'apps/larder': ['cache', 'contract', 'engine', 'fleet', 'metrics', 'control'],
  'apps/console': ['contract'],
  'apps/storefront': ['cache'],
};

const drawers = /(^|\/)(utils?|helpers?|types|common|misc)(\.ts|\/)/;
/** Files that may read the environment: one per program, and the tests' own. */
const environmentReaders = [/^apps\/[^/]+\/src\/config\.ts$/, /^testing\/config\.ts$/];
/** The rules' own examples of what they forbid. */
const selfTests = /^tools\/tidy(\.test)?\.ts$/;
/** Rooms of a resource folder that are pure by their name; any other file is by saying "(pure)" first. */
const pureRooms = /\/(plan|status|check-plan)\.ts$/;
const impureCalls =
  /\b(Date\.now|new Date\(\)|Math\.random|performance\.now|setTimeout|setInterval|fetch\(|process\.(env|pid|argv|cwd|exit|kill|hrtime|std\w+)\b)/;

export function checkAll(files: readonly SourceFile[]): Finding[] {
  return [
    ...checkArrows(files),
    ...checkCycles(files),
    ...checkPure(files),
    ...checkNames(files),
    ...checkBarrels(files),
    ...checkEnvironment(files),
    ...checkMocks(files),
  ];
}

interface Import {
  readonly from: string;
  /** Vanishes when compiled. */
  readonly typeOnly: boolean;
}

/** Static imports and re-exports, and dynamic imports of a literal. */
export function importsOf(text: string): Import[] {
  const found: Import[] = [];
  const pattern = /^\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm;
  for (const match of text.matchAll(pattern)) {
    const statement = match[0];
    if (/^\s*export/.test(statement) && !/\sfrom\s/.test(statement)) continue;
    found.push({ from: match[2]!, typeOnly: match[1] !== undefined });
  }
  for (const match of text.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)) {
    found.push({ from: match[1]!, typeOnly: false });
  }
  return found;
}

export function checkArrows(files: readonly SourceFile[]): Finding[] {
  return shipped(files).flatMap(({ path, text }) => {
    const home = path.split('/').slice(0, 2).join('/');
    const allowed = arrows[home];
    if (allowed === undefined) return [finding('arrows', path, `${home} is not in the house's plan`)];
    const own = home.split('/')[1];
    return importsOf(text).flatMap(({ from }) => {
      const named = /^@larder\/([^/]+)/.exec(from)?.[1];
      if (named !== undefined && named !== own && !allowed.includes(named)) {
        return [finding('arrows', path, `${home} may not import ${from}`)];
      }
      if (/^(\.\.\/){3,}/.test(from))
        return [finding('arrows', path, `${from} climbs too far; name the package`)];
      const target = resolveRelative(path, from);
      if (target !== undefined && !target.startsWith(`${home}/`)) {
        return [finding('arrows', path, `${from} leaves ${home}; import it by its package's name`)];
      }
      return [];
    });
  });
}

/** A cycle of imports that exist at run time, within or across packages. */
export function checkCycles(files: readonly SourceFile[]): Finding[] {
  const sources = shipped(files);
  const known = new Set(sources.map(({ path }) => path));
  const edges = new Map(
    sources.map(({ path, text }) => [
      path,
      importsOf(text)
        .filter(({ typeOnly }) => !typeOnly)
        .map(({ from }) => resolveImport(path, from))
        .filter((target) => target !== undefined && known.has(target)) as string[],
    ]),
  );
  const done = new Set<string>();
  const findings: Finding[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) {
      findings.push(finding('cycles', path, [...trail.slice(at), path].join(' -> ')));
      return;
    }
    if (done.has(path)) return;
    for (const target of edges.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return findings;
}

/** Pure files do no I/O, read no clock and no chance, and call only pure files of their package. */
export function checkPure(files: readonly SourceFile[]): Finding[] {
  const sources = shipped(files);
  const byPath = new Map(sources.map((file) => [file.path, file]));
  return sources.filter(isPure).flatMap(({ path, text }) => {
    const findings: Finding[] = [];
    const code = withoutComments(text);
    const call = impureCalls.exec(code)?.[1];
    if (call !== undefined) findings.push(finding('pure', path, `a pure file may not use ${call}`));
    if (/\bawait\b/.test(code)) findings.push(finding('pure', path, 'a pure file waits for nothing'));
    for (const { from, typeOnly } of importsOf(text)) {
      if (typeOnly) continue;
      if (from.startsWith('node:') && from !== 'node:crypto') {
        findings.push(finding('pure', path, `a pure file may not import ${from}`));
      }
      const target = resolveRelative(path, from);
      const imported = target === undefined ? undefined : byPath.get(target);
      if (imported !== undefined && !isPure(imported) && hasEffects(imported)) {
        findings.push(finding('pure', path, `${from} has effects`));
      }
    }
    return findings;
  });
}

export function checkNames(files: readonly SourceFile[]): Finding[] {
  return files
    .filter(({ path }) => drawers.test(path))
    .map(({ path }) => finding('names', path, 'a drawer: name the file for what is in it'));
}

/** No index files, and no file that only passes on what others export. */
export function checkBarrels(files: readonly SourceFile[]): Finding[] {
  return files
    .filter(({ path }) => path.endsWith('.ts'))
    .flatMap(({ path, text }) => {
      if (/(^|\/)index\.ts$/.test(path)) return [finding('barrels', path, 'import the file itself')];
      const statements = withoutComments(text)
        .split(';')
        .map((each) => each.trim())
        .filter((each) => each !== '');
      const passesOn = statements.every((each) => /^export\s[^=(]*\sfrom\s+'[^']+'$/.test(each));
      return statements.length > 0 && passesOn
        ? [finding('barrels', path, 'it only passes on what others export')]
        : [];
    });
}

export function checkEnvironment(files: readonly SourceFile[]): Finding[] {
  return files
    .filter(({ path }) => path.endsWith('.ts') && !environmentReaders.some((pattern) => pattern.test(path)))
    .filter(({ path, text }) => !selfTests.test(path) && /\bprocess\.env\b/.test(withoutComments(text)))
    .map(({ path }) => finding('environment', path, 'only config.ts reads process.env; pass what you need'));
}

export function checkMocks(files: readonly SourceFile[]): Finding[] {
  return files
    .filter(
      ({ path, text }) =>
        path.endsWith('.test.ts') &&
        !selfTests.test(path) &&
        /\bvi\.(mock|doMock)\(/.test(withoutComments(text)),
    )
    .map(({ path }) => finding('mocks', path, 'test with the real part, or pass another one in'));
}

export interface Signals {
  /** Path and lines, longest first. */
  readonly longest: readonly (readonly [string, number])[];
}

/** Not rules: what is worth a look. */
export function signals(files: readonly SourceFile[], count: number): Signals {
  const lengths = files
    .filter(({ path }) => path.endsWith('.ts'))
    .map(({ path, text }) => [path, text.split('\n').length] as const)
    .sort((a, b) => b[1] - a[1]);
  return { longest: lengths.slice(0, count) };
}

/** Source that is built and shipped, without its tests. */
function shipped(files: readonly SourceFile[]): SourceFile[] {
  return files.filter(
    ({ path }) =>
      /^(packages|apps)\/[^/]+\/src\/.*\.ts$/.test(path) && !/\.(test|test-support)\.ts$/.test(path),
  );
}

function isPure({ path, text }: SourceFile): boolean {
  return pureRooms.test(path) || /^\/\*\*?\s*(\*\s*)?\(pure\)/.test(text);
}

function hasEffects({ text }: SourceFile): boolean {
  return importsOf(text).some(
    ({ from, typeOnly }) => !typeOnly && /^node:(fs|net|child_process|http)/.test(from),
  );
}

function resolveImport(path: string, from: string): string | undefined {
  const own = /^@larder\/([^/]+)\/(.+)$/.exec(from);
  if (own !== null) return `packages/${own[1]}/src/${own[2]}.ts`;
  return resolveRelative(path, from);
}

function resolveRelative(path: string, from: string): string | undefined {
  if (!from.startsWith('.')) return undefined;
  const parts = path.split('/').slice(0, -1);
  for (const part of from.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
}

function finding(rule: string, path: string, detail: string): Finding {
  return { rule, path, detail };
}
