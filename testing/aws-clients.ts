/**
 * The aws CLI and boto3 for tests: what is on PATH, and Debian's own `awscli`, unpacked without root with the Python it
 * is made for and run through its own loader, as engines are.
 */
import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { directories, environmentWith, searchPath } from './config.ts';
import { debianTree } from './debian-packages.ts';
import type { Access } from './larder.ts';

const packages = [
  'awscli',
  ...['python3.11-minimal', 'libpython3.11-minimal', 'libpython3.11-stdlib'],
  ...['awscrt', 'cffi-backend', 'colorama', 'cryptography', 'dateutil', 'distro', 'docutils', 'jmespath'].map(
    (name) => `python3-${name}`,
  ),
  ...[
    'pkg-resources',
    'prompt-toolkit',
    'pyasn1',
    'roman',
    'ruamel.yaml',
    'ruamel.yaml.clib',
    'six',
    'urllib3',
  ].map((name) => `python3-${name}`),
  'python3-wcwidth',
  ...[
    'libc6',
    'libgcc-s1',
    'libstdc++6',
    'zlib1g',
    'libexpat1',
    'libffi8',
    'libssl3',
    'libbz2-1.0',
    'liblzma5',
  ],
  ...['libuuid1', 'libsqlite3-0', 'libyaml-0-2', 'libncursesw6', 'libtinfo6', 'libreadline8'],
];

const commandLimitMs = 60_000;

/** A way to run the aws command line or Python with boto3. */
export interface AwsProgram {
  /** What it says of itself, `aws-cli/2.9.19 …`. */
  readonly version: string;
  /** Runs it against a service. Standard input is empty. Never throws: the code tells. */
  run(access: Access, args: readonly string[]): Promise<ProgramEnd>;
}

export interface ProgramEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The first of that name on PATH; undefined when there is none that starts. */
export async function onPath(name: string, versionArgs: readonly string[]): Promise<AwsProgram | undefined> {
  for (const folder of searchPath.split(delimiter)) {
    const file = join(folder, name);
    if (
      await access(file, constants.X_OK).then(
        () => true,
        () => false,
      )
    ) {
      return program(file, [], {}, versionArgs);
    }
  }
  return undefined;
}

/**
 * Debian's aws command line, fetched when it is not here yet.
 * @throws when it can't be fetched, or does not start.
 */
export async function debianAwsCli(): Promise<AwsProgram> {
  const { tree, loader, libraries } = await debianTree('awscli', packages);
  const before = ['--library-path', libraries, join(tree, 'usr/bin/python3.11'), join(tree, 'usr/bin/aws')];
  const environment = {
    PYTHONHOME: join(tree, 'usr'),
    PYTHONPATH: join(tree, 'usr/lib/python3/dist-packages'),
    // Nobody compiled the packages when they were unpacked; the second start is twice as fast.
    PYTHONDONTWRITEBYTECODE: '',
    PYTHONPYCACHEPREFIX: join(directories.cache, 'awscli', 'pycache'),
  };
  const found = await program(loader, before, environment, ['--version']);
  if (found === undefined) throw new Error(`Debian's aws command line in ${tree} does not start.`);
  return found;
}

async function program(
  file: string,
  before: readonly string[],
  environment: Readonly<Record<string, string>>,
  versionArgs: readonly string[],
): Promise<AwsProgram | undefined> {
  const start = (args: readonly string[], more: Readonly<Record<string, string>>) =>
    new Promise<ProgramEnd>((resolve) => {
      const env = environmentWith({ ...environment, ...more });
      const child = execFile(
        file,
        [...before, ...args],
        { env, timeout: commandLimitMs, maxBuffer: 2 ** 24 },
        (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
      );
      child.stdin?.end();
    });
  const { code, stdout, stderr } = await start(versionArgs, {});
  if (code !== 0) return undefined;
  return {
    version: (stdout + stderr).trim(),
    run: ({ endpoint, region, accessKeyId, secretAccessKey }, args) =>
      start(args, {
        LARDER_ENDPOINT: endpoint,
        AWS_DEFAULT_REGION: region,
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
        AWS_EC2_METADATA_DISABLED: 'true',
        AWS_PAGER: '',
        AWS_MAX_ATTEMPTS: '1',
        // Neither a person's own configuration.
        AWS_CONFIG_FILE: join(directories.cache, 'awscli', 'no-config'),
        AWS_SHARED_CREDENTIALS_FILE: join(directories.cache, 'awscli', 'no-credentials'),
      }),
  };
}
