/** (pure) The node list that an ElastiCache configuration endpoint gives. */
import type { NodeAddress } from '../driver/driver.ts';
import { MetaProtocolError } from './errors.ts';

export interface ClusterNode extends NodeAddress {
  /** '' when the endpoint gives none. */
  readonly ip: string;
}

export interface ClusterConfig {
  /** Grows with every change of the list. */
  readonly version: number;
  readonly nodes: readonly ClusterNode[];
}

const maxNodes = 300;

/**
 * @param text the version, line feed, then `host|ip|port` of each node with one blank between, line feed.
 * Throws MetaProtocolError for anything else, an empty list too: a cluster has at least one node.
 */
export function parseClusterConfig(text: string): ClusterConfig {
  const [version = '', list = '', ...rest] = text.replace(/\r/g, '').trimEnd().split('\n');
  if (!/^\d{1,15}$/.test(version) || rest.length > 0) refuse('no version and one list');
  const words = list.split(' ').filter((word) => word !== '');
  if (words.length === 0) refuse('no nodes');
  if (words.length > maxNodes) refuse(`more than ${maxNodes} nodes`);
  const nodes = words.map(parseNode);
  if (new Set(nodes.map(({ host, port }) => `${host}:${port}`)).size < nodes.length) refuse('a node twice');
  return { version: Number(version), nodes };
}

function parseNode(word: string): ClusterNode {
  const [host = '', ip = '', port = '', ...rest] = word.split('|');
  const named = host === '' ? ip : host;
  if (rest.length > 0 || !/^\d{1,5}$/.test(port)) refuse('a node that is not host|ip|port');
  if (!/^[A-Za-z0-9._:-]{1,255}$/.test(named) || !/^[0-9A-Fa-f.:]{0,45}$/.test(ip)) {
    refuse('a node whose address is none');
  }
  if (Number(port) < 1 || Number(port) > 65_535) refuse('a port that is none');
  return { host: named, ip, port: Number(port) };
}

function refuse(what: string): never {
  throw new MetaProtocolError(`The configuration endpoint's node list has ${what}.`);
}
