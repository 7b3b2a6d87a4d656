/** (pure) Access control users of Valkey and Redis, from version 7.0 on: what a node is told of them. */
import { createHash } from 'node:crypto';
import { compareVersions, type EngineName } from './engine.ts';

/**
 * One user of an engine. `rules` are ACL rules in order, applied to an empty user: `on`, `#<sha256 of a password>`,
 * `nopass`, `~key*`, `&channel*`, `+@read`, `-config`, and selectors, each of them one rule: `(~key* +get)`.
 * Passwords only as hashes, so that it can be written down.
 */
export interface AclUser {
  readonly name: string;
  readonly rules: readonly string[];
}

/** The control plane's own user, and the one by which replicas and slot migrations log in at their source. */
export const serviceUserName = 'larder';
export const replicationUserName = 'larder-replica';

/** Equal for equal sets of users, whatever their order. */
export function digestUsers(users: readonly AclUser[]): string {
  const lines = users.map(({ name, rules }) => JSON.stringify([name, ...rules])).sort();
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

/**
 * The directive of a configuration file.
 * @throws when a name or a rule would read otherwise there than in a command; `accessRules` lets none through.
 */
export function aclDirective({ name, rules }: AclUser): string {
  for (const word of [name, ...rules]) {
    // A selector may hold spaces: in a file the engine puts it together from its words, as from a command's.
    const plain = isSelector(word) ? accessRules(word).length === 1 : !word.includes(' ');
    if (word === '' || !plain || hasQuoteOrControl(word)) {
      throw new Error(`The ACL user ${JSON.stringify(name)} can't be written into a configuration file.`);
    }
  }
  // As in the command: "reset" also sets a flag that a user of a file would otherwise lack.
  return `user ${name} ${['reset', ...rules].join(' ')}`;
}

/** The command that makes a user what `rules` say, whatever it was. The engine applies all of it or nothing. */
export function aclSetUser({ name, rules }: AclUser): string[] {
  return ['ACL', 'SETUSER', name, 'reset', ...rules];
}

/** What an access string can't hold, as a clause for a message: `it has a quotation mark`. */
export class AccessStringFault extends Error {
  override name = 'AccessStringFault';
}

/**
 * Cuts an access string into rules where the engine itself would: at white space, a selector being one rule.
 * Whether the engine knows the rules is not asked here.
 * @throws AccessStringFault for quotation marks and control characters, which mean more to an engine than to us, for
 *   a selector that does not end, and for rules that an access string must not hold: passwords, `nopass`, `reset`.
 */
export function accessRules(accessString: string): string[] {
  if (hasQuoteOrControl(accessString)) {
    throw new AccessStringFault('it has a quotation mark or a control character');
  }
  const rules: string[] = [];
  let selector: string[] | undefined;
  for (const word of accessString.split(' ').filter((each) => each !== '')) {
    if (selector === undefined && !word.startsWith('(')) {
      checkRule(word);
      rules.push(word);
      continue;
    }
    selector = [...(selector ?? []), word];
    // The engine's own rule: a selector ends with the first word that ends with a parenthesis.
    if (!word.endsWith(')')) continue;
    const inner = selectorRules(selector.join(' '));
    for (const rule of inner) checkRule(rule);
    // Followed by another rule, it would end the selector in a configuration file.
    if (inner.some((rule) => rule.endsWith(')'))) {
      throw new AccessStringFault('it has a rule that ends with ")" in a selector');
    }
    rules.push(`(${inner.join(' ')})`);
    selector = undefined;
  }
  if (selector !== undefined) throw new AccessStringFault('it has a selector without its end, ")"');
  return rules;
}

/** The rules within a selector. */
export function selectorRules(selector: string): string[] {
  return selector
    .slice(1, -1)
    .split(' ')
    .filter((each) => each !== '');
}

export function isSelector(rule: string): boolean {
  return rule.startsWith('(');
}

function checkRule(rule: string): void {
  const word = rule.toLowerCase();
  if (/^[><#!]/.test(word) || word === 'nopass' || word === 'resetpass') {
    throw new AccessStringFault('it speaks of passwords, which have parameters of their own');
  }
  if (word === 'reset') throw new AccessStringFault('it has the rule "reset"');
}

function hasQuoteOrControl(text: string): boolean {
  return [...text].some((character) => character < ' ' || '"\'\u007f'.includes(character));
}

/** What customers may not run, as on ElastiCache: it would change what the service alone decides. */
const restrictedCommands: readonly string[] = [
  ...['acl|setuser', 'acl|deluser', 'acl|load', 'acl|save'],
  ...['config', 'debug', 'module|load', 'module|loadex', 'module|unload', 'shutdown'],
  ...['save', 'bgsave', 'bgrewriteaof'],
  ...['replicaof', 'slaveof', 'failover', 'psync', 'sync', 'replconf', 'migrate', 'restore-asking'],
  ...['cluster|addslots', 'cluster|addslotsrange', 'cluster|delslots', 'cluster|delslotsrange'],
  ...['cluster|bumpepoch', 'cluster|failover', 'cluster|flushslots', 'cluster|forget', 'cluster|links'],
  ...['cluster|meet', 'cluster|replicate', 'cluster|reset', 'cluster|saveconfig'],
  ...['cluster|set-config-epoch', 'cluster|setslot'],
];

/** Commands that came after 7.0; an engine refuses a rule about one it does not know. */
const newerCommands = {
  restricted: [
    { engine: 'valkey', since: '9.0', commands: ['cluster|migrateslots', 'cluster|cancelslotmigrations'] },
    { engine: 'valkey', since: '9.0', commands: ['cluster|syncslots', 'cluster|flushslot'] },
  ],
  service: [
    { engine: 'redis', since: '7.2', commands: ['client|setinfo', 'cluster|myshardid'] },
    { engine: 'valkey', since: '7.2', commands: ['client|setinfo', 'cluster|myshardid'] },
    { engine: 'valkey', since: '8.0', commands: ['cluster|slot-stats'] },
    { engine: 'valkey', since: '8.1', commands: ['commandlog'] },
    { engine: 'valkey', since: '9.0', commands: ['cluster|migrateslots', 'cluster|cancelslotmigrations'] },
    { engine: 'valkey', since: '9.0', commands: ['cluster|getslotmigrations'] },
  ],
  replication: [
    { engine: 'valkey', since: '8.0', commands: ['sync'] },
    { engine: 'valkey', since: '9.0', commands: ['cluster|syncslots'] },
  ],
} as const;

function commandsOf(
  purpose: keyof typeof newerCommands,
  always: readonly string[],
  engine: EngineName,
  version: string,
): string[] {
  const newer = newerCommands[purpose].filter(
    (each) => each.engine === engine && compareVersions(version, each.since) >= 0,
  );
  return [...always, ...newer.flatMap(({ commands }) => commands)];
}

/** The rules that come after every customer's own and take away what ElastiCache restricts. */
export function restrictedRules(engine: EngineName, version: string): string[] {
  return commandsOf('restricted', restrictedCommands, engine, version).map((name) => `-${name}`);
}

/**
 * A customer's rules without the restricted commands. A command may run when the user's own rules or any one of its
 * selectors allow it, so each of them is restricted.
 */
export function restrict(rules: readonly string[], engine: EngineName, version: string): string[] {
  const restricted = restrictedRules(engine, version);
  return [
    ...rules.map((rule) =>
      isSelector(rule) ? `(${[...selectorRules(rule), ...restricted].join(' ')})` : rule,
    ),
    ...restricted,
  ];
}

const everything = ['~*', '&*', '+@all'];

/** `default` as everybody finds it who sets no password: all but the restricted. */
export function openDefaultUser(engine: EngineName, version: string): AclUser {
  return { name: 'default', rules: restrict(['on', 'nopass', ...everything], engine, version) };
}

/** `default` behind AUTH tokens. @param hashes SHA-256 in hexadecimal, of one valid token or two. */
export function tokenDefaultUser(hashes: readonly string[], engine: EngineName, version: string): AclUser {
  const passwords = hashes.map((hash) => `#${hash}`);
  return { name: 'default', rules: restrict(['on', ...passwords, ...everything], engine, version) };
}

/** Nobody logs in by it. */
export function closedDefaultUser(): AclUser {
  return { name: 'default', rules: ['off', 'resetchannels', '-@all'] };
}

/**
 * What a replica asks of the node it copies. In cluster mode, from Valkey 9.0 on, a node whose slots move logs in by
 * the same user at their new node and there carries out the writes itself.
 */
export function replicationUser(
  passwordHash: string,
  engine: EngineName,
  version: string,
  clusterEnabled: boolean,
): AclUser {
  const commands = commandsOf('replication', ['psync', 'replconf', 'ping'], engine, version);
  const movesSlots = clusterEnabled && commands.includes('cluster|syncslots');
  const writes = movesSlots ? slotMovingRules : [];
  return { name: replicationUserName, rules: [...ownRules(passwordHash, commands), ...writes] };
}

const slotMovingRules: readonly string[] = [
  ...['~*', '+@write', '+select', '+multi', '+exec'],
  ...['-flushall', '-flushdb', '-swapdb', '-migrate', '-function'],
];

const serviceCommands: readonly string[] = [
  ...['ping', 'hello', 'info', 'role', 'command', 'wait', 'dbsize', 'lastsave', 'bgsave', 'shutdown'],
  ...['script|kill', 'function|kill'],
  ...['client|list', 'client|kill', 'client|setname', 'client|no-evict', 'client|pause', 'client|unpause'],
  ...['client|id', 'config|get', 'config|set', 'config|resetstat', 'replicaof', 'failover'],
  ...['acl|setuser', 'acl|deluser', 'acl|list', 'acl|getuser', 'acl|users', 'acl|whoami'],
  ...['latency', 'slowlog', 'cluster|info', 'cluster|nodes', 'cluster|slots', 'cluster|shards'],
  ...['cluster|myid', 'cluster|links', 'cluster|replicas', 'cluster|meet', 'cluster|forget'],
  ...['cluster|replicate', 'cluster|failover', 'cluster|set-config-epoch', 'cluster|addslots'],
  ...['cluster|addslotsrange', 'cluster|delslots', 'cluster|delslotsrange', 'cluster|setslot'],
  ...['cluster|bumpepoch', 'cluster|countkeysinslot', 'cluster|getkeysinslot'],
  // MIGRATE logs in at the other node as the same user and there selects a database and restores.
  ...['migrate', 'select', 'restore', 'restore-asking', 'asking'],
];

/** A new shard is given the functions that the others have. */
const shardCommands: readonly string[] = ['function|list', 'function|load'];

/** The control plane's user: the verbs its workflows use. Of customers' data it moves keys and reads their names. */
export function serviceUser(
  passwordHash: string,
  engine: EngineName,
  version: string,
  clusterEnabled = false,
): AclUser {
  const always = clusterEnabled ? [...serviceCommands, ...shardCommands] : serviceCommands;
  const commands = commandsOf('service', always, engine, version);
  return { name: serviceUserName, rules: ownRules(passwordHash, commands, ['~*']) };
}

function ownRules(passwordHash: string, commands: readonly string[], keys: readonly string[] = []): string[] {
  return ['on', `#${passwordHash}`, ...keys, 'resetchannels', '-@all', ...commands.map((name) => `+${name}`)];
}
