/**
 * Which operating-system packages hold which engine, and which libraries they need beside them.
 *
 * A tree is complete in itself (loader and C library included), so a build of a newer or older release runs
 * on any Linux kernel we meet, and several versions stand side by side.
 */
import type { EngineName } from '../engine.ts';

export interface PackagedEngine {
  readonly engine: EngineName;
  readonly line: string;
  /** Debian release whose archive holds it. */
  readonly release: string;
  /** The release whose security updates belong to it; testing has none. */
  readonly securedBy?: string;
  readonly package: string;
  /** Inside the tree. Valkey's and Redis's programs are one file that looks at the name it is called by. */
  readonly programPath: string;
  readonly libraries: readonly string[];
}

const base = ['libc6', 'libgcc-s1', 'zlib1g', 'libcap2', 'libzstd1', 'liblz4-1', 'liblzma5'] as const;

export const packagedEngines: readonly PackagedEngine[] = [
  {
    engine: 'valkey',
    line: '9.1',
    release: 'forky',
    package: 'valkey-tools',
    programPath: 'usr/bin/valkey-check-rdb',
    libraries: [...base, 'libjemalloc2', 'liblzf1', 'libssl3t64', 'libsystemd0', 'libatomic1', 'libstdc++6'],
  },
  {
    engine: 'valkey',
    line: '8.1',
    release: 'trixie',
    securedBy: 'trixie',
    package: 'valkey-tools',
    programPath: 'usr/bin/valkey-check-rdb',
    libraries: [...base, 'libjemalloc2', 'liblzf1', 'libssl3t64', 'libsystemd0', 'libatomic1', 'libstdc++6'],
  },
  {
    engine: 'valkey',
    line: '8.0',
    release: 'bookworm-backports',
    securedBy: 'bookworm',
    package: 'valkey-tools',
    programPath: 'usr/bin/valkey-check-rdb',
    libraries: [...base, 'libjemalloc2', 'liblzf1', 'libssl3', 'libsystemd0', 'libatomic1', 'libstdc++6'],
  },
  {
    engine: 'redis',
    line: '7.0',
    release: 'bookworm',
    securedBy: 'bookworm',
    package: 'redis-tools',
    programPath: 'usr/bin/redis-check-rdb',
    libraries: [
      ...base,
      ...['libjemalloc2', 'liblzf1', 'libssl3', 'libsystemd0', 'libatomic1', 'libstdc++6'],
      ...['liblua5.1-0', 'lua-bitop', 'lua-cjson', 'libgcrypt20', 'libgpg-error0'],
    ],
  },
  {
    engine: 'memcached',
    line: '1.6',
    release: 'bookworm',
    securedBy: 'bookworm',
    package: 'memcached',
    programPath: 'usr/bin/memcached',
    libraries: [...base, 'libevent-2.1-7', 'libsasl2-2', 'libdb5.3', 'libssl3'],
  },
];

export function packagedEngine(engine: EngineName, version: string): PackagedEngine | undefined {
  return packagedEngines.find(
    (each) => each.engine === engine && (each.line === version || version.startsWith(`${each.line}.`)),
  );
}
