/**
 * node-redis (`redis` 5 and later). The cheapest per command of the drivers here, as long as its own
 * per-command timeout stays off: that costs more than the command.
 */
import { createClient } from 'redis';
import {
  connectTimeoutMs,
  type Driver,
  type DriverOptions,
  type Link,
  type NodeAddress,
  nodesOf,
  type Subscriber,
} from './driver.ts';
import { keepConnected } from './keep-connected.ts';

type Client = ReturnType<typeof createClient>;

export function nodeRedis(options: DriverOptions): Driver {
  function create(node: NodeAddress, fail: (cause: Error) => void): Client {
    const tls = options.tls;
    const client = createClient({
      ...(options.username === undefined ? {} : { username: options.username }),
      ...(options.password === undefined ? {} : { password: options.password }),
      RESP: 2,
      disableOfflineQueue: true,
      disableClientInfo: true,
      commandOptions: { timeout: 0 },
      socket: {
        host: node.host,
        port: node.port,
        connectTimeout: connectTimeoutMs,
        reconnectStrategy: false,
        ...(tls === undefined || tls === false ? {} : { tls: true, ...(tls === true ? {} : tls) }),
      },
    } as Parameters<typeof createClient>[0]);
    client.on('error', fail);
    client.on('end', () => fail(new Error('The connection ended.')));
    // A slot moved away; failing makes the far tier look up its new place.
    client.on('sharded-channel-moved', () => fail(new Error('A channel moved to another node.')));
    return client;
  }
  const destroy = (client: Client): void => client.destroy();

  return {
    name: 'node-redis',
    clustered: 'cluster' in options,
    nodes: nodesOf(options),
    openLink(node, events): Link {
      const kept = keepConnected<Client>({
        node,
        events,
        create: (fail) => create(node, fail),
        start: async (client) => {
          await client.connect();
        },
        destroy,
      });
      return {
        send(args) {
          const client = kept.current();
          if (client === undefined) return Promise.reject(new Error(`${node.host}:${node.port} is down.`));
          return client.sendCommand(args as string[]);
        },
        reset: kept.reset,
        close: kept.close,
      };
    },
    openSubscriber(node, { channels, sharded }, events): Subscriber {
      const kept = keepConnected<Client>({
        node,
        events,
        create: (fail) => create(node, fail),
        async start(client) {
          await client.connect();
          const listener = (text: string, channel: string): void => {
            if (kept.current() === client) events.message(channel, text);
          };
          // Channels of one command would have to share a slot.
          if (sharded) await Promise.all(channels.map((channel) => client.sSubscribe(channel, listener)));
          else await client.subscribe([...channels], listener);
        },
        destroy,
      });
      return kept;
    },
  };
}
