/**
 * Follows the node list of an ElastiCache cluster: asks its configuration endpoint again and again, and tells when
 * the list is another one. While the endpoint can't be asked the last list holds.
 */
import type { Clock } from '../clock.ts';
import { type ClusterConfig, type ClusterNode, parseClusterConfig } from './cluster-config.ts';
import { MetaProtocolError, MetaServerError, NotConfigurationEndpointError } from './errors.ts';
import { MetaNode, type MetaNodeOptions } from './meta-node.ts';

export interface AutoDiscoveryOptions
  extends Pick<MetaNodeOptions, 'node' | 'tls' | 'credentials' | 'timeoutMs'> {
  readonly clock: Clock;
  /** Between questions. */
  readonly pollMs: number;
  readonly changed: (config: ClusterConfig) => void;
  /** A question failed. */
  readonly failed: (error: Error) => void;
}

const maxListBytes = 64 * 1_024;
/** While there is no list yet, and at most as often when a node's failure asks for a look. */
const urgentMs = 200;

export class AutoDiscovery {
  readonly #options: AutoDiscoveryOptions;
  readonly #endpoint: MetaNode;
  #version = -1;
  #nodes = '';
  #timer: NodeJS.Timeout | undefined;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #asking = false;
  #closed = false;
  /** What the newest question failed with. */
  lastError: Error | undefined;

  constructor(options: AutoDiscoveryOptions) {
    this.#options = options;
    this.#endpoint = new MetaNode({
      ...options,
      maxValueBytes: maxListBytes,
      events: { up: () => void this.#ask(), down: () => {} },
    });
    this.#schedule();
  }

  /** A node doesn't answer: perhaps it has left the cluster. */
  hurry(): void {
    const sinceMs = this.#options.clock.nowMs() - this.#askedAtMs;
    if (this.#closed || this.#asking) return;
    if (sinceMs >= urgentMs) void this.#ask();
    else this.#schedule(urgentMs - sinceMs);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#endpoint.close();
  }

  #schedule(afterMs = this.#version < 0 ? urgentMs : this.#options.pollMs): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#ask(), afterMs);
    this.#timer.unref();
  }

  async #ask(): Promise<void> {
    if (this.#asking || this.#closed) return;
    this.#asking = true;
    this.#askedAtMs = this.#options.clock.nowMs();
    try {
      const config = await readClusterConfig(this.#endpoint);
      this.lastError = undefined;
      if (!this.#closed) this.#adopt(config);
    } catch (error) {
      this.lastError = error as Error;
      if (!this.#closed) this.#options.failed(this.lastError);
    } finally {
      this.#asking = false;
      this.#schedule();
    }
  }

  /** The version alone may have begun anew, with a new cluster of the same name: the list decides. */
  #adopt(config: ClusterConfig): void {
    const nodes = listName(config.nodes);
    if (nodes === this.#nodes && this.#version >= 0) return;
    this.#version = config.version;
    this.#nodes = nodes;
    this.#options.changed(config);
  }
}

function listName(nodes: readonly ClusterNode[]): string {
  return nodes.map(({ host, ip, port }) => `${host}|${ip}|${port}`).join(' ');
}

/**
 * `config get cluster`, or on engines before 1.4.14 `get AmazonElastiCache:cluster`. Rejects with
 * NotConfigurationEndpointError when the server knows neither.
 */
export async function readClusterConfig(endpoint: MetaNode): Promise<ClusterConfig> {
  let replies: Awaited<ReturnType<MetaNode['sendRetrieval']>>;
  try {
    replies = await endpoint.sendRetrieval('config get cluster');
  } catch (error) {
    if (!(error instanceof MetaServerError)) throw error;
    replies = await endpoint.sendRetrieval('get AmazonElastiCache:cluster');
  }
  const value = replies[0]?.value;
  if (value === undefined) {
    const { host, port } = endpoint.address;
    throw new NotConfigurationEndpointError(
      `${host}:${port} answers, but gives no node list: it is no configuration endpoint. Name the nodes with \`servers\`.`,
    );
  }
  if (value.length > maxListBytes) throw new MetaProtocolError('The node list is longer than 64 KiB.');
  return parseClusterConfig(value.toString('latin1'));
}
