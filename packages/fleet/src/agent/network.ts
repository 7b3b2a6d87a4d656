/**
 * Addresses of this host that come and go: those of its nodes, and endpoints, which move from host to host. On one
 * machine there is nothing to do: every loopback address is there.
 */
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { addressNumber, dottedAddress } from '../ipv4.ts';

export interface HostNetwork {
  /** Makes the addresses this host's. Repeatable. */
  take(addresses: readonly string[]): Promise<void>;
  /** Tells the neighbours that the addresses are here now. Not waited for. */
  announce(addresses: readonly string[]): void;
  /** Gives the addresses up. Repeatable. */
  release(addresses: readonly string[]): Promise<void>;
}

/** Every address that is asked for is there already. */
export const standingAddresses: HostNetwork = {
  async take() {},
  announce() {},
  async release() {},
};

export class AddressNotTaken extends Error {
  override name = 'AddressNotTaken';
}

const commandTimeoutMs = 2_000;
const announcements = 3;
/**
 * Several times: a neighbour that learned of the address less than a second ago believes no one else until that second is
 * over (`locktime` of Linux).
 */
const announcedAfterMs = [0, 100, 300, 600, 1_050] as const;
/** Nobody listens there; what counts is the question for its neighbour that comes before it. */
const discardPort = 9;

/**
 * Puts addresses on an interface, with `ip` of iproute2: that needs the right to (CAP_NET_ADMIN).
 * @throws AddressNotTaken when the interface has no IPv4 address of its own.
 */
export function interfaceAddresses(name: string, onProblem: (error: Error) => void): HostNetwork {
  // Asked for once: an interface without its cable is not told of.
  const own = ownAddress(name);

  async function change(verb: 'add' | 'del', address: string, fine: RegExp): Promise<void> {
    if (!isIPv4(address)) throw new AddressNotTaken(`${address} is no IPv4 address.`);
    const failure = await new Promise<string | undefined>((resolve) => {
      execFile(
        'ip',
        ['addr', verb, `${address}/32`, 'dev', name],
        { timeout: commandTimeoutMs },
        (error, _, stderr) =>
          resolve(error === null ? undefined : stderr.trim().split('\n')[0] || error.message),
      );
    });
    if (failure === undefined || fine.test(failure)) return;
    throw new AddressNotTaken(`ip addr ${verb} ${address} on ${name}: ${failure}`);
  }

  const held = new Set<string>();
  return {
    async take(addresses) {
      for (const address of addresses) {
        await change('add', address, /exists|already assigned/i);
        held.add(address);
      }
    },
    announce(addresses) {
      for (const delayMs of announcedAfterMs) {
        setTimeout(() => {
          for (const address of addresses) {
            if (held.has(address)) announce(address, own, onProblem);
          }
        }, delayMs).unref();
      }
    },
    async release(addresses) {
      for (const address of addresses) {
        held.delete(address);
        await change('del', address, /cannot assign|not found/i);
      }
    },
  };
}

function ownAddress(name: string): { readonly address: string; readonly netmask: string } {
  const own = networkInterfaces()[name]?.find(
    ({ family, netmask }) => family === 'IPv4' && netmask !== '255.255.255.255',
  );
  if (own !== undefined) return own;
  throw new AddressNotTaken(
    `The interface ${name} has no IPv4 address of its own; name another with --interface.`,
  );
}

/**
 * To send anything to an address that no neighbour is known for, the kernel asks everybody on the network for it, in
 * the sender's name; and who already knows the sender's address learns from the question where it is now.
 */
function announce(
  address: string,
  { address: own, netmask }: { readonly address: string; readonly netmask: string },
  onProblem: (error: Error) => void,
): void {
  const socket = createSocket('udp4');
  socket.once('error', (error) => {
    socket.close();
    onProblem(error);
  });
  socket.bind({ address, port: 0 }, () => {
    let left = announcements;
    for (const target of strangersOf(own, netmask)) {
      socket.send('', discardPort, target, () => {
        left -= 1;
        if (left === 0) socket.close();
      });
    }
  });
}

/** Some addresses of the network, others every time. */
function strangersOf(own: string, netmask: string): string[] {
  const mask = addressNumber(netmask);
  const network = addressNumber(own) & mask;
  const size = ~mask >>> 0;
  return Array.from({ length: announcements }, () =>
    dottedAddress((network | (1 + Math.floor(Math.random() * Math.max(1, size - 1)))) >>> 0),
  );
}
