/** Where webhooks may go. What only this machine and its own network stack answer is no place for them. */
import { BlockList, isIP, isIPv6 } from 'node:net';

const own = new BlockList();
// "This host", loopback (which all cache nodes have), link-local (which has cloud's metadata), multicast, broadcast.
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  own.addSubnet(network, prefix, 'ipv4');
}
own.addAddress('::', 'ipv6');
own.addAddress('::1', 'ipv6');
own.addSubnet('fe80::', 10, 'ipv6');
own.addSubnet('ff00::', 8, 'ipv6');

/** @param address an IP address; one of IPv4 written as of IPv6 counts as what it is. */
export function isOwnAddress(address: string): boolean {
  return own.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** @returns why the URL may not be a webhook's, judged by itself: a name may still lead somewhere else. */
export function refusalOfUrl(text: string, toOwnAddresses: boolean): string | undefined {
  if (!URL.canParse(text) || text.length > 2_048) return 'it is no URL';
  const { protocol, username, password, hostname, hash } = new URL(text);
  if (protocol !== 'http:' && protocol !== 'https:') return 'it is no URL of http or https';
  // Both would be shown to whoever lists subscriptions.
  if (username !== '' || password !== '') return 'a URL with a user and password is not taken';
  if (hash !== '') return 'a URL with a fragment is not taken';
  if (toOwnAddresses) return undefined;
  const host = hostname.replace(/^\[|\]$/g, '');
  const own = isIP(host) === 0 ? /(^|\.)localhost\.?$/.test(host) : isOwnAddress(host);
  return own
    ? 'it leads to this machine or its link; "larder server --webhooks-to-loopback" allows that'
    : undefined;
}
