/**
 * node-redis (`redis` 5 and later). The cheapest per command of the drivers here, as long as its own
 * per-command timeout stays off: that costs more than the command.
 */
import { createClient } from 'redis';
import { clientDriver } from './client-driver.ts';
import { connectTimeoutMs, type Driver, type DriverOptions } from './driver.ts';

type Client = ReturnType<typeof createClient>;

export function nodeRedis(options: DriverOptions): Driver {
  const { username, password, tls } = options;
  return clientDriver<Client>(options, {
    name: 'node-redis',
    create(node, fail) {
      const client = createClient({
        ...(username === undefined ? {} : { username }),
        ...(password === undefined ? {} : { password }),
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
    },
    connect: (client) => client.connect(),
    send: (client, args) => client.sendCommand(args as string[]),
    async subscribe(client, { channels, sharded }, heard) {
      const listener = (text: string, channel: string): void => heard(channel, text);
      // Channels of one command would have to share a slot.
      if (sharded) await Promise.all(channels.map((channel) => client.sSubscribe(channel, listener)));
      else await client.subscribe([...channels], listener);
    },
    destroy: (client) => client.destroy(),
  });
}
