/** ioredis 5 and later. */
import { Redis } from 'ioredis';
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

export function ioredis(options: DriverOptions): Driver {
  function create(node: NodeAddress, fail: (cause: Error) => void): Redis {
    const tls = options.tls;
    const client = new Redis({
      host: node.host,
      port: node.port,
      ...(options.username === undefined ? {} : { username: options.username }),
      ...(options.password === undefined ? {} : { password: options.password }),
      ...(tls === undefined || tls === false ? {} : { tls: tls === true ? {} : tls }),
      lazyConnect: true,
      connectTimeout: connectTimeoutMs,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      retryStrategy: () => null,
      disableClientInfo: true,
    });
    client.on('error', fail);
    client.on('close', () => fail(new Error('The connection ended.')));
    return client;
  }
  const destroy = (client: Redis): void => client.disconnect();

  return {
    name: 'ioredis',
    clustered: 'cluster' in options,
    nodes: nodesOf(options),
    openLink(node, events): Link {
      const kept = keepConnected<Redis>({
        node,
        events,
        create: (fail) => create(node, fail),
        start: (client) => client.connect(),
        destroy,
      });
      return {
        send(args) {
          const client = kept.current();
          if (client === undefined) return Promise.reject(new Error(`${node.host}:${node.port} is down.`));
          return client.call(args[0]!, args.slice(1) as string[]);
        },
        reset: kept.reset,
        close: kept.close,
      };
    },
    openSubscriber(node, { channels, sharded }, events): Subscriber {
      const kept = keepConnected<Redis>({
        node,
        events,
        create: (fail) => create(node, fail),
        async start(client) {
          await client.connect();
          client.on(sharded ? 'smessage' : 'message', (channel: string, text: string) => {
            if (kept.current() === client) events.message(channel, text);
          });
          // Channels of one command would have to share a slot.
          if (sharded) await Promise.all(channels.map((channel) => client.ssubscribe(channel)));
          else await client.subscribe(...channels);
        },
        destroy,
      });
      return kept;
    },
  };
}
