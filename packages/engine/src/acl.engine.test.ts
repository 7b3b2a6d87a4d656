/** What the users may do, asked of every engine here. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { afterEach, describe, expect, test } from 'vitest';
import { installedServers, startEngine, type TestEngine } from '../../../testing/engine.ts';
import { redisClients } from '../../../testing/redis-clients.ts';
import {
  type AclUser,
  accessRules,
  aclDirective,
  aclSetUser,
  closedDefaultUser,
  openDefaultUser,
  replicationUser,
  restrict,
  restrictedRules,
  serviceUser,
  tokenDefaultUser,
} from './acl.ts';

const servers = await installedServers();
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const password = 'correct-horse-battery';
const hash = sha256(password);

const clients = redisClients();
const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  clients.close();
  for (const close of open.splice(0).reverse()) await close();
});

/** An engine of that version whose configuration file names these users. */
async function start(
  { engine, version }: (typeof servers)[number],
  users: readonly AclUser[],
  extra: readonly string[] = [],
): Promise<TestEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'larder-acl-'));
  open.push(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'users.conf'), users.map((user) => `${aclDirective(user)}\n`).join(''));
  const node = await startEngine(engine, ['--include', join(folder, 'users.conf'), ...extra], version);
  open.push(() => node.stop());
  return node;
}

const as = (node: TestEngine, username?: string): Redis =>
  clients.to(
    { Address: node.host, Port: node.port },
    { enableReadyCheck: false, ...(username !== undefined && { username, password }) },
  );

/** Name -> how many words it takes at least; subcommands as `config|get`, and not what contains them. */
async function commandsOf(client: Redis): Promise<Map<string, number>> {
  const names = (await client.call('COMMAND', 'LIST', 'FILTERBY', 'PATTERN', '*')) as string[];
  names.sort();
  const infos = (await client.call('COMMAND', 'INFO', ...names)) as [string, number][];
  const containers = new Set(names.filter((name) => name.includes('|')).map((name) => name.split('|')[0]));
  return new Map(
    infos.map(([name, arity]) => [name, Math.abs(arity)] as const).filter(([name]) => !containers.has(name)),
  );
}

/** The commands that a user may run, as the engine itself says. */
async function allowed(client: Redis, user: string, among?: readonly string[]): Promise<string[]> {
  const commands = [...(await commandsOf(client))].filter(
    ([name]) => among === undefined || among.includes(name),
  );
  const answers = await Promise.all(
    commands.map(([name, arity]) => {
      const words = name.split('|');
      const filler = Array.from({ length: Math.max(0, arity - words.length) }, () => '1');
      return client.call('ACL', 'DRYRUN', user, ...words, ...filler);
    }),
  );
  return commands.map(([name]) => name).filter((_, index) => answers[index] === 'OK');
}

/** What rules such as `-config` and `+client|kill` name, of the commands that the engine has. */
async function named(client: Redis, rules: readonly string[]): Promise<string[]> {
  const words = new Set(rules.map((rule) => rule.slice(1)));
  return [...(await commandsOf(client)).keys()].filter(
    (name) => words.has(name) || words.has(name.split('|')[0]!),
  );
}

describe.each(servers)('$engine $version', (server) => {
  const { engine, version } = server;

  test('an open default user may do all but what is restricted', async () => {
    const node = await start(server, [openDefaultUser(engine, version)]);
    const client = as(node);
    const refused = await named(client, restrictedRules(engine, version));
    const every = [...(await commandsOf(client)).keys()];
    expect(await allowed(client, 'default')).toEqual(every.filter((name) => !refused.includes(name)));
    // One of each name at least: a rule that named nothing would restrict nothing.
    for (const rule of restrictedRules(engine, version)) {
      expect(refused.some((name) => name === rule.slice(1) || name.startsWith(`${rule.slice(1)}|`))).toBe(
        true,
      );
    }
    expect(refused).not.toEqual(expect.arrayContaining(['cluster|slots']));
    await client.set('k', '1');
    for (const words of [
      ['CONFIG', 'GET', '*'],
      ['ACL', 'SETUSER', 'x'],
      ['SHUTDOWN'],
      ['REPLICAOF', 'NO', 'ONE'],
    ]) {
      await expect(client.call(words[0]!, ...words.slice(1))).rejects.toThrow(/^NOPERM/);
    }
    // A script may do what its caller may; this one engines would let scripts call.
    const script = "return redis.call('RESTORE-ASKING', KEYS[1], 0, 'x')";
    await expect(client.eval(script, 1, 'k')).rejects.toThrow(
      /ACL failure in script|NOPERM|user executing the script can't run/,
    );
  });

  test('no access string gets around the restrictions', async () => {
    const node = await start(server, []);
    const client = as(node);
    const refused = await named(client, restrictedRules(engine, version));
    for (const accessString of [
      'on ~* &* +@all',
      'on allkeys allcommands',
      'on (+@all ~*)',
      'on -@all (~x* +get) (allcommands allkeys) (+@admin ~*)',
      'on -@all +@admin +@dangerous ~*',
      'on ~* +config|get +config|set +acl|setuser +debug|sleep +cluster|meet +shutdown',
      'on ~* (+config|get +config|set ~*) (+cluster +acl +module ~*)',
      'on ~* +@all -@all +config (-@all +config)',
      'on (~a) (+@all ~*) (~b()c)',
      'on ( +@all ~* ) ( ) +acl clearselectors (+debug ~*)',
    ]) {
      const rules = restrict(accessRules(accessString), engine, version);
      await client.call(...(aclSetUser({ name: 'u', rules }) as [string]));
      expect(await allowed(client, 'u', refused), accessString).toEqual([]);
    }
    // The probe itself can tell: without restrictions all of them are allowed.
    await client.call('ACL', 'SETUSER', 'u', 'reset', 'on', '~*', '+@all');
    expect(await allowed(client, 'u', refused)).toEqual(refused);
  });

  test('a file and a command make the same users', async () => {
    const users: AclUser[] = [
      closedDefaultUser(),
      serviceUser(hash, engine, version),
      replicationUser(hash, engine, version, true),
      { name: 'plain', rules: restrict(accessRules('on ~app:* &n* +@read -keys'), engine, version) },
      {
        name: 'selecting',
        rules: restrict(
          accessRules('on +@all (~a* %R~\\[b\u00e9* +@read -get) ( +set ~c(d)e )'),
          engine,
          version,
        ),
      },
      { name: 'empty', rules: restrict(accessRules('()'), engine, version) },
    ];
    const fromFile = as(await start(server, users), 'larder');
    const blank = as(await start(server, []));
    for (const user of users.filter(({ name }) => name !== 'default')) {
      await blank.call(...(aclSetUser(user) as [string]));
    }
    // Last: it takes the connection its rights.
    await blank.call(...(aclSetUser(users[0]!) as [string]));
    const byCommand = clients.to(
      { Address: blank.options.host, Port: blank.options.port },
      { enableReadyCheck: false, username: 'larder', password },
    );
    // Redis lists rules in an order that differs from process to process, within a selector too.
    const list = async (client: Redis) =>
      ((await client.call('ACL', 'LIST')) as string[]).map((line) =>
        engine === 'redis' ? line.split(/[ ()]/).sort().join(' ') : line,
      );
    const listed = await list(fromFile);
    expect(await list(byCommand)).toEqual(listed);
    expect(listed).toHaveLength(users.length);
    // Again, and nothing is added to what they had.
    await byCommand.call(...(aclSetUser(users[4]!) as [string]));
    expect(await list(byCommand)).toEqual(listed);
  });

  test('AUTH tokens: two are valid, a third is not, and the rest is restricted', async () => {
    const tokens = ['first-token-of-them', password];
    const node = await start(server, [tokenDefaultUser(tokens.map(sha256), engine, version)]);
    const nobody = as(node);
    await expect(nobody.get('k')).rejects.toThrow(/^NOAUTH/);
    for (const token of tokens) expect(await nobody.auth(token)).toBe('OK');
    await expect(nobody.auth('third-token')).rejects.toThrow(/^WRONGPASS/);
    await expect(nobody.config('GET', 'port')).rejects.toThrow(/^NOPERM/);
  });

  test("the service's user has its verbs and no others", async () => {
    const user = serviceUser(hash, engine, version);
    const node = await start(server, [closedDefaultUser(), user]);
    await expect(as(node).get('k')).rejects.toThrow(/^NOAUTH/);
    const larder = as(node, 'larder');
    const may = await named(
      larder,
      user.rules.filter((rule) => rule.startsWith('+')),
    );
    // HELLO and AUTH are for everybody, and so are a few that say nothing of data.
    const asked = [
      ...['GET k', 'SET k v', 'FLUSHALL', 'FLUSHDB', 'KEYS *', 'SCAN 0', 'DEL k', 'DUMP k', 'TYPE k'],
      ...['RANDOMKEY', 'SWAPDB 0 1', 'MONITOR', 'CONFIG REWRITE', 'ACL SAVE', 'SAVE'],
      ...['SUBSCRIBE c', 'PUBLISH c m', 'SCRIPT LOAD x', 'FUNCTION LIST', 'MODULE LIST', 'OBJECT FREQ k'],
      ...['CLUSTER RESET', 'CLUSTER FLUSHSLOTS', 'PSYNC ? -1', 'EVAL return 0', 'EVAL_RO return 0'],
    ];
    for (const line of asked) {
      const [name, ...words] = line.split(' ');
      await expect(larder.call(name!, ...words), line).rejects.toThrow(/^NOPERM/);
    }
    for (const line of ['PING', 'INFO', 'CLIENT LIST', 'CONFIG GET port', 'ACL LIST', 'ROLE', 'DBSIZE']) {
      const [name, ...words] = line.split(' ');
      await larder.call(name!, ...words);
    }
    await larder.call('CLIENT', 'PAUSE', '1', 'WRITE');
    await larder.call('CLIENT', 'UNPAUSE');
    await larder.call('ACL', 'SETUSER', 'all', 'on', 'nopass', '~*', '&*', '+@all');
    const root = as(node, undefined);
    await root.auth('all', 'any');
    const free = ['auth', 'hello', 'reset', 'quit'];
    const able = await allowed(root, 'larder');
    expect(able.filter((name) => !free.includes(name))).toEqual(may.filter((name) => !free.includes(name)));
  });
});
