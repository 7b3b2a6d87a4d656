/** ioredis and its forks: the same client under other names. */
import { clientDriver } from './client-driver.ts';
import { connectTimeoutMs, type Driver, type DriverOptions, type NodeAddress } from './driver.ts';

/** What is used of a client. */
export interface FamilyClient {
  connect(): Promise<void>;
  disconnect(): void;
  call(command: string, args: string[]): Promise<unknown>;
  subscribe(...channels: string[]): Promise<unknown>;
  ssubscribe(...channels: string[]): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
  on(event: 'message' | 'smessage', listener: (channel: string, text: string) => void): unknown;
}

export interface FamilyOptions {
  readonly host: string;
  readonly port: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: { readonly [option: string]: unknown };
  readonly lazyConnect: true;
  readonly connectTimeout: number;
  /** Else it waits 2 s for a stopped process to take leave, and what is in flight waits with it. */
  readonly disconnectTimeout: 0;
  readonly enableOfflineQueue: false;
  readonly enableReadyCheck: false;
  readonly maxRetriesPerRequest: 0;
  readonly autoResendUnfulfilledCommands: false;
  readonly autoResubscribe: false;
  readonly retryStrategy: () => null;
  /** Forks from before this option don't announce themselves anyway. */
  readonly disableClientInfo: true;
}

export function familyDriver(
  name: string,
  options: DriverOptions,
  create: (options: FamilyOptions) => FamilyClient,
): Driver {
  const { username, password, tls } = options;
  const optionsFor = (node: NodeAddress): FamilyOptions => ({
    host: node.host,
    port: node.port,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined || tls === false ? {} : { tls: tls === true ? {} : tls }),
    lazyConnect: true,
    connectTimeout: connectTimeoutMs,
    disconnectTimeout: 0,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    retryStrategy: () => null,
    disableClientInfo: true,
  });
  return clientDriver<FamilyClient>(options, {
    name,
    create(node, fail) {
      const client = create(optionsFor(node));
      client.on('error', fail);
      client.on('close', () => fail(new Error('The connection ended.')));
      return client;
    },
    connect: (client) => client.connect(),
    send: (client, args) => client.call(args[0]!, args.slice(1)),
    async subscribe(client, { channels, sharded }, heard) {
      client.on(sharded ? 'smessage' : 'message', heard);
      // Channels of one command would have to share a slot.
      if (sharded) await Promise.all(channels.map((channel) => client.ssubscribe(channel)));
      else await client.subscribe(...channels);
    },
    destroy: (client) => client.disconnect(),
  });
}
