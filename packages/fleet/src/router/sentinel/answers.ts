/** (pure) What Sentinel's commands are answered with. The fields and texts are those that clients read. */
import { createHash } from 'node:crypto';
import type { SentinelMaster, SentinelReplica } from './masters.ts';
import type { Reply } from './resp-reply.ts';

export interface Monitored {
  readonly epoch: number;
  readonly master: SentinelMaster;
}

export interface SentinelState {
  /** 40 hexadecimal digits. */
  readonly id: string;
  /** By name. */
  readonly masters: ReadonlyMap<string, Monitored>;
}

const ok: Reply = { simple: 'OK' };

/** @param words the command's, as they were sent; without those that belong to the connection. */
export function answer(state: SentinelState, words: readonly string[]): Reply {
  const [name = '', ...rest] = words;
  switch (name.toUpperCase()) {
    case 'INFO':
      return renderInfo(state);
    case 'ROLE':
      return ['sentinel', [...state.masters.keys()]];
    // There is nothing here that a password would protect: who may connect may ask.
    case 'AUTH':
      return rest.length === 0 ? wrongCount(name) : ok;
    case 'COMMAND':
      return [];
    case 'SENTINEL':
      return rest.length === 0 ? wrongCount(name) : answerSentinel(state, rest);
    default:
      return { error: `ERR unknown command '${name.slice(0, 128)}'; this is Larder in Sentinel's place` };
  }
}

function answerSentinel(state: SentinelState, [subcommand = '', name]: readonly string[]): Reply {
  const known = name === undefined ? undefined : state.masters.get(name);
  const ofMaster = (reply: (monitored: Monitored) => Reply): Reply => {
    if (name === undefined) return wrongCount(`sentinel|${subcommand}`);
    return known === undefined ? { error: 'ERR No such master with that name' } : reply(known);
  };
  switch (subcommand.toUpperCase()) {
    case 'GET-MASTER-ADDR-BY-NAME':
      if (name === undefined) return wrongCount(`sentinel|${subcommand}`);
      return known === undefined ? { nothing: 'array' } : [known.master.address, String(known.master.port)];
    case 'MASTERS':
    case 'PRIMARIES':
      return [...state.masters.values()].map(renderMaster);
    case 'MASTER':
    case 'PRIMARY':
      return ofMaster(renderMaster);
    case 'REPLICAS':
    case 'SLAVES':
      return ofMaster(({ master }) => master.replicas.map((each) => renderReplica(each, master)));
    // Larder is one, however many processes it has.
    case 'SENTINELS':
      return ofMaster(() => []);
    case 'CKQUORUM':
      return ofMaster(() => ({
        simple: 'OK 1 usable Sentinels. Quorum and failover authorization can be reached',
      }));
    case 'MYID':
      return state.id;
    case 'FAILOVER':
      return {
        error:
          'ERR Larder hands the role over itself, without losing a write: use TestFailover, or ' +
          'ModifyReplicationGroup with PrimaryClusterId',
      };
    case 'IS-MASTER-DOWN-BY-ADDR':
      return { error: 'ERR Larder takes no votes of Sentinels: it decides alone' };
    case 'MONITOR':
    case 'REMOVE':
    case 'SET':
    case 'RESET':
    case 'CONFIG':
    case 'FLUSHCONFIG':
    case 'SIMULATE-FAILURE':
    case 'PENDING-SCRIPTS':
      return { error: `ERR Larder decides what is monitored: change the replication group by its API` };
    default:
      return { error: `ERR unknown subcommand '${subcommand.slice(0, 128)}' of SENTINEL` };
  }
}

function wrongCount(command: string): Reply {
  return { error: `ERR wrong number of arguments for '${command.toLowerCase().slice(0, 128)}' command` };
}

function renderMaster({ epoch, master }: Monitored): Reply {
  const { name, address, port, up, replicas } = master;
  return fields({
    name,
    ...instance(name, address, port),
    flags: up ? 'master' : 'master,s_down,o_down',
    'role-reported': 'master',
    'config-epoch': epoch,
    'num-slaves': replicas.length,
    'num-other-sentinels': 0,
    quorum: 1,
    'failover-timeout': 180_000,
    'parallel-syncs': 1,
  });
}

function renderReplica({ address, port, up, linkUp }: SentinelReplica, master: SentinelMaster): Reply {
  return fields({
    name: `${address}:${port}`,
    ...instance(master.name, address, port),
    flags: up ? 'slave' : 'slave,s_down,disconnected',
    'role-reported': 'slave',
    'master-link-down-time': 0,
    'master-link-status': linkUp ? 'ok' : 'err',
    'master-host': master.address,
    'master-port': master.port,
    'slave-priority': 100,
    'slave-repl-offset': 0,
    'replica-announced': 1,
  });
}

/** Larder hears of a death at once; the times are there for clients that read them. */
function instance(name: string, address: string, port: number) {
  return {
    ip: address,
    port,
    runid: createHash('sha1').update(`${name} ${address} ${port}`).digest('hex'),
    'link-pending-commands': 0,
    'link-refcount': 1,
    'last-ping-sent': 0,
    'last-ok-ping-reply': 0,
    'last-ping-reply': 0,
    'down-after-milliseconds': 600,
    'info-refresh': 0,
    'role-reported-time': 0,
  };
}

function fields(values: Readonly<Record<string, string | number>>): Reply {
  return { map: Object.entries(values).map(([name, value]) => [name, String(value)] as const) };
}

function renderInfo({ id, masters }: SentinelState): string {
  const lines = [...masters.values()].map(({ master }, index) => {
    const { name, address, port, up, replicas } = master;
    const status = up ? 'ok' : 'odown';
    return `master${index}:name=${name},status=${status},address=${address}:${port},slaves=${replicas.length},sentinels=1`;
  });
  return [
    '# Server',
    'redis_mode:sentinel',
    `run_id:${id}`,
    '',
    '# Sentinel',
    `sentinel_masters:${masters.size}`,
    'sentinel_tilt:0',
    'sentinel_running_scripts:0',
    'sentinel_scripts_queue_length:0',
    'sentinel_simulate_failure_flags:0',
    ...lines,
    '',
  ].join('\r\n');
}
