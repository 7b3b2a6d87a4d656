/**
 * A client that writes unique values by a connection that it keeps: to an endpoint, or to a node that it once found
 * there. It stands somewhere, and reaches only what can be reached from there.
 */
import type { ClientConnection, Engine, EngineWorld } from './engine.ts';
import { type Place, servicePlace } from './network.ts';

export interface WriterSetup {
  readonly place: Place;
  readonly everyMs: number;
  /** The endpoint, or a node's own address. */
  readonly address: string;
}

export interface WriterWorld extends EngineWorld {
  readonly engines: () => readonly Engine[];
  newWrite(): number;
}

const timeoutMs = 800;

export class Writer {
  readonly #world: WriterWorld;
  readonly #setup: WriterSetup;
  #connected: { readonly engine: Engine; readonly connection: ClientConnection } | undefined;
  ended = false;

  constructor(world: WriterWorld, setup: WriterSetup) {
    this.#world = world;
    this.#setup = setup;
    this.#soon();
  }

  #soon(): void {
    const { queue, random } = this.#world;
    queue.after(this.#setup.everyMs * (0.5 + random.next()), () => {
      if (this.ended) return;
      this.#write();
      this.#soon();
    });
  }

  #write(): void {
    const { network, queue, trace, random } = this.#world;
    const { place } = this.#setup;
    if (this.#connected?.connection.open !== true) this.#connected = this.#connect();
    const connected = this.#connected;
    if (connected === undefined) {
      trace.count('write: nobody answers');
      return;
    }
    const { engine, connection } = connected;
    if (!this.#reaches(engine)) {
      // It waits for its answer, and then tries elsewhere.
      queue.after(timeoutMs, () => this.#drop(connection));
      trace.count('write: no way');
      return;
    }
    const write = this.#world.newWrite();
    engine.later(place === servicePlace ? network.delayMs() * 2 : network.delayMs(), () =>
      engine.write(connection, write, (reply) => {
        trace.count(`write: ${reply}`);
        // Some clients stay with a node that refuses them, and try again there.
        if (reply !== 'ok' && random.chance(0.6)) this.#drop(connection);
      }),
    );
  }

  #connect(): { readonly engine: Engine; readonly connection: ClientConnection } | undefined {
    const { address } = this.#setup;
    const listening = this.#world
      .engines()
      .filter((engine) => engine.lives && engine.bound.includes(address) && this.#reaches(engine));
    if (listening.length === 0) return undefined;
    const engine = this.#world.random.pick(listening);
    const connection = { address, open: true };
    engine.connections.push(connection);
    return { engine, connection };
  }

  #reaches(engine: Engine): boolean {
    const { place } = this.#setup;
    return place === servicePlace || this.#world.network.connected(place, engine.start.machine);
  }

  #drop(connection: ClientConnection): void {
    connection.open = false;
  }
}
