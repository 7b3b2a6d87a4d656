/**
 * memcached over its meta protocol, on one node or on many: a client in its own right, and what the shared tier
 * is built on. Keys are placed by ketama (ketama.ts). Nothing is sent twice, nothing waits for a later connection.
 */
import { createHash } from 'node:crypto';
import { type Clock, monotonicClock } from '../clock.ts';
import type { NodeAddress } from '../driver/driver.ts';
import { AutoDiscovery } from './auto-discovery.ts';
import { checkSettings, type MetaClientSettings, nodeName } from './client-settings.ts';
import {
  MetaAuthenticationError,
  MetaProtocolError,
  MetaServerError,
  MetaUnavailableError,
  NotConfigurationEndpointError,
} from './errors.ts';
import { KetamaRing, type RingServer } from './ketama.ts';
import {
  type ArithmeticOptions,
  arithmeticCommand,
  type DeleteOptions,
  debugCommand,
  deleteCommand,
  type GetOptions,
  getCommand,
  type MetaCommand,
  type MetaKey,
  noopCommand,
  type SetOptions,
  setCommand,
} from './meta-command.ts';
import { MetaNode } from './meta-node.ts';
import type { MetaReply } from './meta-parser.ts';

/** Good for the connection that it came over, and for no other: see MetaTokenError. */
export interface CasToken {
  readonly cas: string;
  readonly connection: number;
}

export interface MetaItem extends Omit<MetaReply, 'status' | 'text' | 'opaque' | 'cas'> {
  /** Present when `cas` was asked for. */
  readonly token: CasToken | undefined;
}

/** exists: the item's CAS number is another by now. missing: there is no such item (any more). */
export type Stored =
  | { readonly outcome: 'stored'; readonly token: CasToken | undefined }
  | { readonly outcome: 'exists' | 'missing' | 'not stored' };
export type Deleted = 'deleted' | 'exists' | 'missing';

type WithToken<Options extends { readonly cas?: string }> = Omit<Options, 'cas'> & {
  readonly token?: CasToken;
};

/** A server of the ring, and the node behind it. */
interface RingMember extends RingServer {
  readonly node: MetaNode;
}

export class MetaClient {
  readonly #settings: MetaClientSettings;
  readonly #clock: Clock;
  readonly #nodes = new Map<string, MetaNode>();
  readonly #discovery: AutoDiscovery | undefined;
  #ring = new KetamaRing<RingMember>([]);
  #list: readonly NodeAddress[] = [];
  #members: readonly MetaNode[] = [];
  #digest = '';
  #changed: (() => void)[] = [];
  #closed = false;

  /** Throws MetaArgumentError. Connects in the background at once; see `ready`. */
  constructor(settings: MetaClientSettings) {
    checkSettings(settings);
    this.#settings = settings;
    this.#clock = settings.clock ?? monotonicClock;
    const { configurationEndpoint, events, discoveryMs = 60_000 } = settings;
    if (configurationEndpoint === undefined) this.#adopt(settings.servers ?? []);
    else {
      this.#discovery = new AutoDiscovery({
        node: configurationEndpoint,
        ...this.#connectionSettings(),
        clock: this.#clock,
        pollMs: discoveryMs,
        changed: ({ nodes }) => this.#adopt(nodes),
        failed: (error) => {
          events?.discoveryFailed?.(error);
          this.#wake();
        },
      });
    }
  }

  /** Sorted by name; empty before the configuration endpoint has answered. */
  get nodes(): readonly NodeAddress[] {
    return this.#list;
  }

  /**
   * Resolves when every node is connected. Rejects after `timeoutMs` (default 5,000) with what is the matter, and
   * at once when credentials are wrong or the configuration endpoint is none.
   */
  async ready(timeoutMs = 5_000): Promise<void> {
    const until = this.#clock.nowMs() + timeoutMs;
    for (;;) {
      const members = [...this.#nodes.values()];
      if (members.length > 0 && members.every(({ connection }) => connection !== 0)) return;
      const refusal =
        this.#discovery?.lastError ?? members.find(({ refusal }) => refusal !== undefined)?.refusal;
      const left = until - this.#clock.nowMs();
      if (refusal instanceof MetaAuthenticationError || refusal instanceof NotConfigurationEndpointError) {
        throw refusal;
      }
      if (this.#closed || left <= 0) {
        throw refusal ?? new MetaUnavailableError(`Not every memcached answered within ${timeoutMs} ms.`);
      }
      await this.#change(Math.min(left, 20));
    }
  }

  /** Undefined: a miss. All methods reject as MetaNode.send. */
  async get(key: MetaKey, options: GetOptions = {}): Promise<MetaItem | undefined> {
    const node = this.nodeOf(key);
    const { connection } = node;
    return itemOf(await node.send(getCommand(key, options)), connection);
  }

  /** In the order of `keys`. One round trip per node; misses cost no reply. */
  async getMany(
    keys: readonly MetaKey[],
    options: GetOptions = {},
  ): Promise<readonly (MetaItem | undefined)[]> {
    const found = new Array<MetaItem | undefined>(keys.length);
    const groups = new Map<MetaNode, { readonly command: MetaCommand; readonly index: number }[]>();
    for (const [index, key] of keys.entries()) {
      const node = this.nodeOf(key);
      const group = groups.get(node) ?? [];
      groups.set(node, group);
      group.push({ command: getCommand(key, options), index });
    }
    const asked = [...groups].map(async ([node, group]) => {
      const { connection } = node;
      const replies = await node.sendQuiet(group.map(({ command }) => command));
      for (const [at, { index }] of group.entries()) {
        const reply = replies[at]!;
        if (reply instanceof MetaServerError) throw reply;
        found[index] = itemOf(reply, connection);
      }
    });
    await Promise.all(asked);
    return found;
  }

  async set(
    key: MetaKey,
    value: string | Uint8Array,
    { token, ...options }: WithToken<SetOptions> = {},
  ): Promise<Stored> {
    const node = this.nodeOf(key);
    const command = setCommand(key, value, token === undefined ? options : { ...options, cas: token.cas });
    const { connection } = node;
    const { status, cas } = await node.send(command, token?.connection);
    if (status === 'HD') return { outcome: 'stored', token: tokenOf(cas, connection) };
    return { outcome: status === 'EX' ? 'exists' : status === 'NF' ? 'missing' : 'not stored' };
  }

  async delete(key: MetaKey, { token, ...options }: WithToken<DeleteOptions> = {}): Promise<Deleted> {
    const command = deleteCommand(key, token === undefined ? options : { ...options, cas: token.cas });
    const { status } = await this.nodeOf(key).send(command, token?.connection);
    return status === 'HD' ? 'deleted' : status === 'EX' ? 'exists' : 'missing';
  }

  /** Resolves when every node has confirmed; which of the keys were there isn't told. One round trip per node. */
  async deleteMany(keys: readonly MetaKey[]): Promise<void> {
    const groups = new Map<MetaNode, MetaCommand[]>();
    for (const key of keys) {
      const node = this.nodeOf(key);
      const group = groups.get(node) ?? [];
      groups.set(node, group);
      group.push(deleteCommand(key));
    }
    const asked = [...groups].map(async ([node, commands]) => {
      for (const reply of await node.sendQuiet(commands)) if (reply instanceof MetaServerError) throw reply;
    });
    await Promise.all(asked);
  }

  /** The new number (64 bits; increments wrap, decrements end at 0), or undefined when there is none to count on. */
  async count(
    key: MetaKey,
    { token, ...options }: WithToken<ArithmeticOptions> = {},
  ): Promise<bigint | undefined> {
    const command = arithmeticCommand(key, token === undefined ? options : { ...options, cas: token.cas });
    const { value } = await this.nodeOf(key).send(command, token?.connection);
    if (value === undefined) return undefined;
    const text = value.toString('latin1').trimEnd();
    if (!/^\d{1,20}$/.test(text)) throw new MetaProtocolError('The server counted to what is no number.');
    return BigInt(text);
  }

  /** What the server knows of an item, for people: `exp`, `la`, `cas`, `fetch`, `cls`, `size`. */
  async explain(key: MetaKey): Promise<Readonly<Record<string, string>> | undefined> {
    const { status, text } = await this.nodeOf(key).send(debugCommand(key));
    if (status === 'EN') return undefined;
    const pairs = text
      .split(' ')
      .slice(1)
      .map((pair) => pair.split('=', 2) as [string, string]);
    return Object.fromEntries(pairs);
  }

  /** Resolves when all nodes have done everything that was sent before. */
  async barrier(): Promise<void> {
    await Promise.all([...this.#nodes.values()].map((node) => node.send(noopCommand)));
  }

  /** Empties every node. ElastiCache can forbid it: then it rejects. */
  async flushAll(): Promise<void> {
    await Promise.all([...this.#nodes.values()].map((node) => node.sendText('flush_all', 'OK')));
  }

  /** Throws MetaUnavailableError while no node is known. */
  nodeOf(key: MetaKey): MetaNode {
    const member = this.#ring.ownerOf(key);
    if (member !== undefined) return member.node;
    const cause = this.#discovery?.lastError;
    throw new MetaUnavailableError('No memcached is known yet.', cause === undefined ? {} : { cause });
  }

  /** For who hashes keys by himself: the node at a place of the circle. */
  nodeAt(place: number): MetaNode | undefined {
    return this.#ring.ownerOfPlace(place)?.node;
  }

  /** The nodes of the list, in its order of names. */
  get members(): readonly MetaNode[] {
    return this.#members;
  }

  /** Names the list of nodes and their weights: clients that place keys alike have the same. 12 hex digits. */
  get digest(): string {
    return this.#digest;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#discovery?.close();
    for (const node of this.#nodes.values()) node.close();
    this.#wake();
  }

  #adopt(servers: readonly (RingServer & { readonly ip?: string })[]): void {
    if (this.#closed) return;
    const { discoverByIp = false, events } = this.#settings;
    const members = servers.map((server) => ({ ...server, node: this.#node(server, discoverByIp) }));
    const kept = new Set(members.map(({ node }) => node));
    this.#ring = new KetamaRing(members);
    for (const [name, node] of this.#nodes) {
      if (kept.has(node)) continue;
      this.#nodes.delete(name);
      node.close();
    }
    const sorted = [...members].sort((a, b) => (nodeName(a) < nodeName(b) ? -1 : 1));
    this.#list = sorted.map(({ host, port }) => ({ host, port }));
    this.#members = sorted.map(({ node }) => node);
    const names = sorted.map((member) => `${nodeName(member)} ${member.weight ?? 1}`);
    this.#digest = createHash('sha256').update(names.join('\n')).digest('hex').slice(0, 12);
    events?.nodesChanged?.(this.#list);
    this.#wake();
  }

  #node(server: RingServer & { readonly ip?: string }, byIp: boolean): MetaNode {
    const { events } = this.#settings;
    const host = byIp && server.ip !== undefined && server.ip !== '' ? server.ip : server.host;
    const name = `${nodeName(server)} ${host}`;
    const present = this.#nodes.get(name);
    if (present !== undefined) return present;
    const address = { host: server.host, port: server.port };
    const node = new MetaNode({
      node: { host, port: server.port },
      ...this.#connectionSettings(),
      maxValueBytes: this.#settings.maxValueBytes ?? 8 * 2 ** 20,
      clock: this.#clock,
      events: {
        up: () => {
          events?.nodeUp?.(address);
          this.#wake();
        },
        down: (_node, cause) => {
          events?.nodeDown?.(address, cause);
          this.#discovery?.hurry();
          this.#wake();
        },
      },
    });
    this.#nodes.set(name, node);
    return node;
  }

  #connectionSettings() {
    const { tls = false, username, password, timeoutMs = 200 } = this.#settings;
    const credentials = username === undefined || password === undefined ? undefined : { username, password };
    return { tls, credentials, timeoutMs };
  }

  #wake(): void {
    for (const wake of this.#changed.splice(0)) wake();
  }

  /** Until something happened, or a while. */
  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#changed.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

function tokenOf(cas: string | undefined, connection: number): CasToken | undefined {
  return cas === undefined ? undefined : { cas, connection };
}

function itemOf(reply: MetaReply, connection: number): MetaItem | undefined {
  if (reply.status === 'EN') return undefined;
  const { status: _status, text: _text, opaque: _opaque, cas, ...item } = reply;
  return { ...item, token: tokenOf(cas, connection) };
}
