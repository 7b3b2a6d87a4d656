/**
 * Machines for tests, on one machine: network namespaces on a bridge of their own. Needs root; who has not the right to
 * is told so by `canMakeHosts`.
 */
import { execFileSync, spawnSync } from 'node:child_process';

export interface TestMachine {
  readonly name: string;
  readonly namespace: string;
  /** Its own on the network. */
  readonly address: string;
  /** A range of further addresses that are its own: `10.77.1.0/24`. */
  readonly addresses: string;
  /** What to put before a command to run it there. */
  readonly prefix: readonly string[];
  /** Takes its cable out; nothing goes in or out. */
  cut(): void;
  heal(): void;
  /** Packets from here to that address are dropped without a word; those from there arrive. */
  drop(address: string): void;
  undrop(address: string): void;
}

export interface HostNetwork {
  /** Of the machine that the test itself is on. */
  readonly address: string;
  /** For addresses that go from host to host. */
  readonly endpointAddresses: string;
  readonly machines: readonly TestMachine[];
  remove(): void;
}

/** Interface names have at most 15 letters. */
const tag = (process.pid % 100_000).toString(36);

export function canMakeHosts(): boolean {
  if (process.getuid?.() !== 0) return false;
  const probe = `larder-probe-${tag}`;
  if (spawnSync('ip', ['netns', 'add', probe], { stdio: 'ignore' }).status !== 0) return false;
  spawnSync('ip', ['netns', 'del', probe], { stdio: 'ignore' });
  return true;
}

let networks = 0;

export function makeHostNetwork(names: readonly string[]): HostNetwork {
  networks += 1;
  const bridge = `lrd${tag}${networks}`;
  const net = `10.${64 + ((process.pid + networks * 61) % 120)}`;
  const address = `${net}.0.1`;
  const undo: (() => void)[] = [];
  const remove = () => {
    for (const each of undo.reverse()) each();
    undo.length = 0;
  };
  try {
    ip('link', 'add', bridge, 'type', 'bridge');
    undo.push(() => quietly('link', 'del', bridge));
    ip('addr', 'add', `${address}/16`, 'dev', bridge);
    ip('link', 'set', bridge, 'up');
    const machines = names.map((name, index) => makeMachine(name, index, { bridge, net, undo }));
    return { address, endpointAddresses: `${net}.9.0/24`, machines, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

function makeMachine(
  name: string,
  index: number,
  { bridge, net, undo }: { readonly bridge: string; readonly net: string; readonly undo: (() => void)[] },
): TestMachine {
  const namespace = `${bridge}-${name}`;
  const cable = `${bridge}v${index}`;
  const address = `${net}.0.${11 + index}`;
  const inside = ['netns', 'exec', namespace];
  ip('netns', 'add', namespace);
  undo.push(() => quietly('netns', 'del', namespace));
  ip('link', 'add', cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
  undo.push(() => quietly('link', 'del', cable));
  ip('link', 'set', cable, 'master', bridge);
  ip('link', 'set', cable, 'up');
  ip(...inside, 'ip', 'link', 'set', 'lo', 'up');
  ip(...inside, 'ip', 'addr', 'add', `${address}/16`, 'dev', 'eth0');
  ip(...inside, 'ip', 'link', 'set', 'eth0', 'up');
  return {
    name,
    namespace,
    address,
    addresses: `${net}.${index + 1}.0/24`,
    prefix: ['ip', ...inside],
    cut: () => ip('link', 'set', cable, 'down'),
    heal: () => ip('link', 'set', cable, 'up'),
    drop: (target) => ip(...inside, 'ip', 'route', 'add', 'blackhole', `${target}/32`),
    undrop: (target) => quietly(...inside, 'ip', 'route', 'del', 'blackhole', `${target}/32`),
  };
}

function ip(...words: string[]): void {
  execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function quietly(...words: string[]): void {
  spawnSync('ip', words, { stdio: 'ignore' });
}
