/**
 * (pure) Endpoints of hosts whose network lets no address move: names under the operator's domain, which lead to the
 * nodes' own addresses. An endpoint is either an address that a node listens on, or such a name.
 */

const labels: Readonly<Record<string, string>> = {
  primary: 'primary',
  reader: 'reader',
  configuration: 'config',
};

/** @param owner `<resource id>/<endpoint>`, as placement has it. */
export function endpointName(owner: string, domain: string): string {
  const [id = '', endpoint = ''] = owner.split('/');
  const label = labels[endpoint];
  if (label === undefined) throw new Error(`${owner} is no endpoint.`);
  return `${label}.${id}.${domain}`;
}

/** The domain that an endpoint's name is in. */
export function domainOf(name: string): string {
  return name.split('.').slice(2).join('.');
}

export function isName(endpoint: string): boolean {
  return !/^\d+(\.\d+){3}$/.test(endpoint);
}

/** The endpoint where it is an address, which a node can listen on; else nothing. */
export function asAddress(endpoint: string): string[] {
  return isName(endpoint) ? [] : [endpoint];
}

/** Lower case; leaves room for the rest of an endpoint's name. */
export function isDomain(text: string): boolean {
  return (
    text.length <= 150 &&
    text.split('.').length >= 2 &&
    !/^[\d.]+$/.test(text) &&
    text.split('.').every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label))
  );
}
