/** (pure) Access control users of Valkey and Redis: what a node is told of them. */
import { createHash } from 'node:crypto';

/**
 * One user of an engine. `rules` are ACL rules in order, applied to an empty user: `on`, `#<sha256 of a password>`,
 * `nopass`, `~key*`, `&channel*`, `+@read`, `-config`. Passwords only as hashes, so that it can be written down.
 */
export interface AclUser {
  readonly name: string;
  readonly rules: readonly string[];
}

/** Equal for equal sets of users, whatever their order. */
export function digestUsers(users: readonly AclUser[]): string {
  const lines = users.map(({ name, rules }) => JSON.stringify([name, ...rules])).sort();
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

/** The directive of a configuration file. Names and rules hold no white space: what writes them down checks that. */
export function aclDirective({ name, rules }: AclUser): string {
  return `user ${name} ${rules.join(' ')}`;
}

/** The command that makes a user what `rules` say, whatever it was. The engine applies all of it or nothing. */
export function aclSetUser({ name, rules }: AclUser): string[] {
  return ['ACL', 'SETUSER', name, 'reset', ...rules];
}
