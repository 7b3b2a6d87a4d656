/** What an access string means, asked of the engines themselves. */
import { serviceError } from '@larder/contract/errors';
import { AccessStringFault, accessRules, isSelector } from '@larder/engine/acl';
import { compareVersions, engineTraits, versionLine } from '@larder/engine/engine';
import type { ControlContext } from '../control-context.ts';
import { oldestVersion, type UserAuthentication, type UserEngine } from './user.ts';

/** Each node keeps the restrictions beside each selector, so their number counts. */
const mostCharacters = 5_000;
const mostSelectors = 50;

export interface CheckedAccess {
  readonly rules: readonly string[];
  readonly minimumEngineVersion: string;
}

/**
 * Has the newest version of the engine here try the rules, and the older ones for the first that takes them.
 * @throws ServiceError InvalidParameterValue with the engine's own reason; ServiceUnavailable when no engine answers.
 */
export async function checkAccessString(
  { engines, scratch }: Pick<ControlContext, 'engines' | 'scratch'>,
  accessString: string,
  engine: UserEngine,
  authentication: UserAuthentication,
): Promise<CheckedAccess> {
  const rules = cut(accessString);
  const command = ['ACL', 'SETUSER', 'probe', 'reset', ...rules];
  const installed = (await engines.list()).filter((build) => build.engine !== 'memcached');
  const own = installed.filter((build) => build.engine === engine);
  // Redis' users are also for caches of Valkey, so that Valkey can answer where no Redis is.
  const asked = own.length > 0 ? own : installed;
  const versions = [...asked].sort((a, b) => compareVersions(b.version, a.version));

  let first: string | undefined;
  for (const build of versions) {
    const reply = await scratch
      .ask(build.engine, build.version, [command])
      .then(([only]) => only!)
      .catch((cause: unknown) => {
        throw serviceError('ServiceUnavailable', 'No engine could be asked about the access string.', {
          cause,
        });
      });
    if (!reply.ok && first === undefined) throw invalid(reply.error.replace(/^ERR /, '').trim());
    if (!reply.ok) break;
    first = build.engine === engine ? build.version : oldestVersion[engine];
  }
  if (first === undefined) {
    throw serviceError('InvalidParameterValueException', `${engineTraits[engine].title} is not installed.`, {
      hint: `Run "larder engines install ${engine}".`,
    });
  }
  // That the oldest one here takes it says nothing of older ones; what they can't is known by its form.
  const refusedByOlder = versions.at(-1)?.version !== first;
  const lines = [
    oldestVersion[engine],
    ...rules.map((rule) => firstVersionWith(rule, engine)),
    ...(authentication === 'iam' ? [engine === 'redis' ? '7.0' : '7.2'] : []),
    ...(refusedByOlder ? [versionLine(first)] : []),
  ];
  return { rules, minimumEngineVersion: newest(lines) };
}

export function newest(versions: readonly string[]): string {
  return [...versions].sort(compareVersions).at(-1)!;
}

function cut(accessString: string): string[] {
  if (accessString.length > mostCharacters) {
    throw invalid(`it may have ${mostCharacters} characters and has ${accessString.length}`);
  }
  let rules: string[];
  try {
    rules = accessRules(accessString);
  } catch (error) {
    if (error instanceof AccessStringFault) throw invalid(error.message);
    throw error;
  }
  if (rules.length === 0) throw invalid('it has no rule');
  if (rules.filter(isSelector).length > mostSelectors) {
    throw invalid(`it may have ${mostSelectors} selectors`);
  }
  return rules;
}

function firstVersionWith(rule: string, engine: UserEngine): string {
  const words = rule.replace(/^\(|\)$/g, '').split(' ');
  if (words.some((word) => /^(?:db=|alldbs$|resetdbs$)/i.test(word))) return '9.1';
  if (engine === 'valkey') return oldestVersion.valkey;
  const isOf70 = (word: string) => /^%|^[+-][^|]*\|/.test(word);
  if (isSelector(rule) || rule.toLowerCase() === 'clearselectors' || words.some(isOf70)) return '7.0';
  if (words.some((word) => /^(?:&|allchannels$|resetchannels$)/i.test(word))) return '6.2';
  return oldestVersion.redis;
}

function invalid(reason: string) {
  return serviceError('InvalidParameterValueException', `The access string is not valid: ${reason}.`, {
    hint: 'It is written like an ACL rule list, for example "on ~app:* +@read".',
  });
}
