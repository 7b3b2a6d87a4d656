/**
 * Keeps one connection to one node, for any client library. Every connection is a new client object: nothing
 * that was queued or subscribed on the old one can leak into the new one, and `up` marks exactly the moment
 * from which everything is new.
 */
import { backoffMs, handshakeTimeoutMs, type LinkEvents, type NodeAddress } from './driver.ts';

export interface Connector<Client> {
  readonly node: NodeAddress;
  readonly events: LinkEvents;
  /** A client that doesn't reconnect by itself; `fail` is called when its connection breaks. */
  create(fail: (cause: Error) => void): Client;
  /** Connects and subscribes; the connection is usable when it resolves. */
  start(client: Client): Promise<unknown>;
  /** Drops it at once and rejects what is in flight. Must not throw. */
  destroy(client: Client): void;
}

export interface KeptConnection<Client> {
  /** The client, while it is usable. */
  current(): Client | undefined;
  reset(): void;
  close(): void;
}

export function keepConnected<Client>(connector: Connector<Client>): KeptConnection<Client> {
  const { node, events } = connector;
  let closed = false;
  let attempt = 0;
  let usable: Client | undefined;
  let retry: NodeJS.Timeout | undefined;
  let abandon: (cause: Error) => void = () => {};

  function open(): void {
    let ended = false;
    const end = (cause: Error): void => {
      if (ended) return;
      ended = true;
      clearTimeout(patience);
      const wasUsable = usable === client;
      if (wasUsable) usable = undefined;
      connector.destroy(client);
      if (!closed) retry = setTimeout(open, backoffMs(attempt++));
      if (wasUsable) events.down(cause);
    };
    abandon = end;
    const patience = setTimeout(
      () => end(new Error(`${node.host}:${node.port} accepted a connection and stayed silent.`)),
      handshakeTimeoutMs,
    );
    const client = connector.create(end);
    connector.start(client).then(() => {
      // Given up while it connected: there was nothing to drop yet.
      if (ended) return connector.destroy(client);
      clearTimeout(patience);
      attempt = 0;
      usable = client;
      events.up();
    }, end);
  }

  open();
  return {
    current: () => usable,
    reset: () => abandon(new Error('The connection was given up.')),
    close() {
      closed = true;
      clearTimeout(retry);
      abandon(new Error('Closed.'));
    },
  };
}
