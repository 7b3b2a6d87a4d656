/** (pure) The engine commands that bring a running node from one setting to another. */
import { type AclUser, aclSetUser, digestUsers } from '@larder/engine/acl';
import { announcedPorts, certificateFiles, type EngineSettings } from '@larder/engine/config-file';
import type { NodeSettings } from './host.ts';

type Commands = readonly (readonly string[])[];

/** @param present names of the engine's users now. */
export function userCommands(present: readonly string[], users: readonly AclUser[]): Commands {
  const wanted = new Set(users.map(({ name }) => name));
  const gone = present.filter((name) => !wanted.has(name));
  return [
    ...users.map(aclSetUser),
    ...(gone.length > 0 ? [['ACL', 'DELUSER', ...gone]] : []),
    // Switching a user off does not end its connections; deleting one does.
    ...users
      .filter(({ rules }) => rules.includes('off'))
      .map(({ name }) => ['CLIENT', 'KILL', 'USER', name, 'SKIPME', 'yes']),
  ];
}

/** The certificate's files must be there. */
export function portCommands(before: Pick<EngineSettings, 'tlsPort'>, settings: EngineSettings): Commands {
  const { plainPort, tlsPort } = settings;
  const config = (name: string, value: string | number) => ['CONFIG', 'SET', name, String(value)];
  const { certificate, key, authority } = certificateFiles;
  const withTls = [
    ['CONFIG', 'SET', 'tls-cert-file', certificate, 'tls-key-file', key, 'tls-ca-cert-file', authority],
    config('tls-auth-clients', 'no'),
  ];
  // The port that both may want is given up before it is taken.
  const plainFirst = plainPort === 0 || plainPort !== before.tlsPort;
  const ports = [config('port', plainPort), config('tls-port', tlsPort)];
  return [
    ...(tlsPort === 0 ? [] : withTls),
    ...(plainFirst ? ports : ports.reverse()),
    config('tls-replication', plainPort === 0 ? 'yes' : 'no'),
    ...(settings.clusterEnabled ? announcedPorts(settings).map((each) => config(...each)) : []),
    config('replica-announce-port', plainPort === 0 ? tlsPort : plainPort),
  ];
}

/** Named anew the engine reads its files again, both at once. */
export function certificateCommands(): Commands {
  const { certificate, key } = certificateFiles;
  return [['CONFIG', 'SET', 'tls-cert-file', certificate, 'tls-key-file', key]];
}

/** What an engine says of its parameters and users, beside the users that it was given last. */
export function settingsSeen(
  {
    parameters,
    userNames,
  }: { readonly parameters: Record<string, string>; readonly userNames: readonly string[] },
  users: readonly AclUser[],
): NodeSettings {
  const known = new Set(users.map(({ name }) => name));
  const same = userNames.length === known.size && userNames.every((name) => known.has(name));
  return {
    plainPort: Number(parameters.port),
    tlsPort: Number(parameters['tls-port']),
    parameters,
    users: same ? digestUsers(users) : undefined,
  };
}
