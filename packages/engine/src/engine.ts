/** The engines and what differs between them, as data, so that no other file asks `if (memcached)`. */

export const engineNames = ['valkey', 'redis', 'memcached'] as const;
export type EngineName = (typeof engineNames)[number];

export interface EngineTraits {
  /** What ElastiCache's documents call it. */
  readonly title: string;
  readonly defaultPort: number;
  /** The version a request without `EngineVersion` means. */
  readonly defaultVersion: string;
  /** Has primaries and replicas, so that it can be a replication group. */
  readonly replicates: boolean;
  readonly program: string;
}

export const engineTraits: Readonly<Record<EngineName, EngineTraits>> = {
  valkey: {
    title: 'Valkey',
    defaultPort: 6379,
    defaultVersion: '9.1',
    replicates: true,
    program: 'valkey-server',
  },
  redis: {
    title: 'Redis OSS',
    defaultPort: 6379,
    defaultVersion: '7.0',
    replicates: true,
    program: 'redis-server',
  },
  memcached: {
    title: 'Memcached',
    defaultPort: 11211,
    defaultVersion: '1.6',
    replicates: false,
    program: 'memcached',
  },
};

export function isEngineName(text: string): text is EngineName {
  return (engineNames as readonly string[]).includes(text);
}

/** `9.1.2` belongs to the line `9.1`; `1.6.18` to `1.6`. */
export function versionLine(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}

/**
 * Whether an installed `version` serves a request for `wanted`: equal, or `wanted` is a prefix by whole
 * numbers (`7.0` matches `7.0.15`, `7` matches both, `7.1` neither).
 */
export function versionMatches(version: string, wanted: string): boolean {
  return version === wanted || version.startsWith(`${wanted}.`);
}

/** Orders version strings by their numbers, oldest first; a missing number is 0. */
export function compareVersions(left: string, right: string): number {
  const a = left.split('.').map(Number);
  const b = right.split('.').map(Number);
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** What the engine itself calls its version: `7.0.15` of `7.0.15.0.12.10`, the same release as a package rebuilt it. */
export function releaseOf(version: string): string {
  return version.split('.').slice(0, 3).join('.');
}

/** ElastiCache shows patch numbers for Memcached only. */
export function shownVersion(engine: EngineName, version: string): string {
  return engineTraits[engine].replicates ? versionLine(version) : releaseOf(version);
}

/**
 * The numbers of a Debian revision, behind the release, so that later ones compare as newer: `5:7.0.15-1~deb12u10` of
 * `7.0.15` is `7.0.15.0.12.10`. What stands after `~` comes before the number without it.
 */
export function buildVersion(release: string, revision: string): string {
  const [first = '0', ...others] = revision.slice(revision.lastIndexOf('-') + 1).match(/~|\d+/g) ?? [];
  const isBefore = others[0] === '~';
  const numbers = [Number(first) - (isBefore ? 1 : 0), ...others.filter((each) => each !== '~').map(Number)];
  return [release, ...numbers].join('.');
}

/** A later release, or a later build of the same one; of a program that came in no package nothing is known of that. */
export function isNewerBuild(version: string, than: string): boolean {
  const difference = compareVersions(releaseOf(version), releaseOf(than));
  if (difference !== 0) return difference > 0;
  return than !== releaseOf(than) && compareVersions(version, than) > 0;
}

/** Whether the engine moves slots by itself, atomically; others are moved key by key. */
export function movesWholeSlots(engine: EngineName, version: string): boolean {
  return engine === 'valkey' && compareVersions(version, '9.0') >= 0;
}
