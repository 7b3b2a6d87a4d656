/** A driver over any client library that can be held to one connection; what differs is behind `ClientLibrary`. */
import {
  type Driver,
  type DriverOptions,
  type Link,
  type LinkEvents,
  type NodeAddress,
  nodesOf,
  type Subscriber,
  type SubscriberOptions,
} from './driver.ts';
import { type KeptConnection, keepConnected } from './keep-connected.ts';

export interface ClientLibrary<Client> {
  readonly name: string;
  /**
   * A client of one connection: not connected yet, and never again after it broke. It queues nothing while it isn't
   * connected and sends nothing twice. `fail` is called when the connection breaks.
   */
  create(node: NodeAddress, fail: (cause: Error) => void): Client;
  connect(client: Client): Promise<unknown>;
  send(client: Client, args: readonly string[]): Promise<unknown>;
  /** Resolves when all channels are subscribed. */
  subscribe(
    client: Client,
    options: SubscriberOptions,
    heard: (channel: string, text: string) => void,
  ): Promise<void>;
  /** Drops the connection at once and rejects what is in flight. Must not throw. */
  destroy(client: Client): void;
}

export function clientDriver<Client>(options: DriverOptions, library: ClientLibrary<Client>): Driver {
  function keep(
    node: NodeAddress,
    events: LinkEvents,
    start: (client: Client) => Promise<unknown>,
  ): KeptConnection<Client> {
    return keepConnected<Client>({
      node,
      events,
      create: (fail) => library.create(node, fail),
      start,
      destroy: (client) => library.destroy(client),
    });
  }
  return {
    name: library.name,
    clustered: 'cluster' in options,
    nodes: nodesOf(options),
    openLink(node, events): Link {
      const kept = keep(node, events, (client) => library.connect(client));
      return {
        send(args) {
          const client = kept.current();
          if (client === undefined) return Promise.reject(new Error(`${node.host}:${node.port} is down.`));
          return library.send(client, args);
        },
        reset: kept.reset,
        close: kept.close,
      };
    },
    openSubscriber(node, channels, events): Subscriber {
      const kept = keep(node, events, async (client) => {
        await library.connect(client);
        await library.subscribe(client, channels, (channel, text) => {
          if (kept.current() === client) events.message(channel, text);
        });
      });
      return kept;
    },
  };
}
