/** The client that most peers want. */
import { importPeer } from '../import-peer.ts';

export interface IoredisClient {
  on(event: 'error', listener: (error: Error) => void): unknown;
  get(key: string): Promise<string | null>;
  disconnect(): void;
}

/** Connects in the background, as it does by default. */
export async function ioredisClient(engine: {
  readonly host: string;
  readonly port: number;
}): Promise<IoredisClient> {
  const { Redis } = await importPeer<{ Redis: new (options: object) => IoredisClient }>('ioredis');
  const client = new Redis({ host: engine.host, port: engine.port });
  client.on('error', () => {});
  return client;
}
