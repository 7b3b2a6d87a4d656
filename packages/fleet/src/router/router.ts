/**
 * Serves routes: what an engine can't do itself at an address. It decides nothing; owners tell it their tables, and it
 * goes on serving the last ones, after its own death too, whoever else is gone.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { StaleOrder } from '../host.ts';
import { discoveryService } from './discovery-route.ts';
import { eitherService } from './either-route.ts';
import type { RouteContext, RouteCounters, RouteService } from './route-service.ts';
import {
  type Route,
  type RouteTable,
  readRouteTable,
  type Target,
  targetKey,
  written,
} from './route-table.ts';
import { spreadService } from './spread-route.ts';
import { readTables, writeTables } from './table-file.ts';

/** How often a route whose address was taken when the router started is tried again. */
const retryEveryMs = 1_000;

/** An address that can't be listened on; `message` names it. */
export class ListenFailed extends Error {
  override name = 'ListenFailed';
}

export interface RouterOptions extends RouteContext {
  /** The service's data directory: holds `router.json`. */
  readonly directory: string;
}

export interface RouteStats extends RouteCounters {
  readonly owner: string;
  readonly kind: Route['kind'];
  readonly listen: Target;
}

export interface Router {
  /**
   * Makes `routes` the ones of `owner`: all of them or, when it throws, none. Returns when they are on disk and bound.
   * A listener that stays keeps its connections, but for those to a target its route no longer has.
   * @throws StaleOrder for a lower epoch than seen; ListenFailed; RouteTableInvalid; or what reading a certificate threw.
   */
  put(owner: string, epoch: number, routes: readonly Route[]): Promise<void>;
  /** Of the owners that have routes, those that are bound now. */
  bound(): ReadonlyMap<string, RouteTable>;
  stats(): readonly RouteStats[];
  /** Closes every listener and connection. What is on disk stays. */
  close(): Promise<void>;
}

interface Listener {
  readonly owner: string;
  readonly server: Server;
  route: Route;
  service: RouteService;
}

/** Binds what was served before. An address that is taken is tried again until its owner puts another table. */
export async function createRouter(options: RouterOptions): Promise<Router> {
  const tables = readTables(options.directory);
  const listeners = new Map<string, Listener>();
  let line: Promise<unknown> = Promise.resolve();
  let closed = false;

  /** One change at a time. */
  function inLine<T>(work: () => Promise<T>): Promise<T> {
    const done = line.then(work);
    line = done.catch(() => {});
    return done;
  }

  async function open(owner: string, route: Route): Promise<Listener> {
    const service = await makeService(route, options);
    try {
      // The service is looked up for each connection: another may have taken its place.
      const server = await listen(route.listen, (socket) => listener.service.accept(socket));
      const listener: Listener = { owner, server, route, service };
      return listener;
    } catch (error) {
      service.close();
      throw error;
    }
  }

  function shut({ server, service }: Listener): void {
    server.close();
    service.close();
  }

  async function change(owner: string, table: RouteTable): Promise<void> {
    const seen = tables.get(owner)?.epoch ?? 0;
    if (table.epoch < seen) {
      throw new StaleOrder(
        `Routes for ${owner} of epoch ${table.epoch} came after epoch ${seen}; they are refused.`,
      );
    }
    const commits: (() => void)[] = [];
    const undos: (() => void)[] = [];
    try {
      for (const route of table.routes) {
        const key = targetKey(route.listen);
        const present = listeners.get(key);
        if (present !== undefined && present.owner !== owner) {
          throw new ListenFailed(`${written(route.listen)} is served for ${present.owner} already.`);
        }
        if (present === undefined) {
          const listener = await open(owner, route);
          undos.push(() => shut(listener));
          commits.push(() => listeners.set(key, listener));
        } else if (serviceKind(present.route) === serviceKind(route)) {
          const commit = await present.service.prepare(route);
          commits.push(commit, () => {
            present.route = route;
          });
        } else {
          const service = await makeService(route, options);
          undos.push(() => service.close());
          commits.push(() => {
            present.service.close();
            Object.assign(present, { route, service });
          });
        }
      }
      writeTables(options.directory, new Map(tables).set(owner, table));
    } catch (error) {
      for (const undo of undos) undo();
      throw error;
    }
    tables.set(owner, table);
    for (const commit of commits) commit();
    const wanted = new Set(table.routes.map(({ listen }) => targetKey(listen)));
    for (const [key, listener] of listeners) {
      if (listener.owner !== owner || wanted.has(key)) continue;
      listeners.delete(key);
      shut(listener);
    }
  }

  async function bindMissing(report: (error: Error) => void): Promise<void> {
    for (const [owner, { routes }] of tables) {
      for (const route of routes) {
        const key = targetKey(route.listen);
        if (closed || listeners.has(key)) continue;
        try {
          listeners.set(key, await open(owner, route));
        } catch (error) {
          report(error as Error);
        }
      }
    }
  }

  await bindMissing(options.onProblem);
  const retrying = setInterval(() => {
    // It was reported once; whoever asks for what is bound sees that it is missing.
    void inLine(() => bindMissing(() => {}));
  }, retryEveryMs);

  return {
    async put(owner, epoch, routes) {
      const table = readRouteTable({ epoch, routes });
      await inLine(() => change(owner, table));
    },
    bound() {
      const withRoutes = [...tables].filter(([, { routes }]) => routes.length > 0);
      return new Map(
        withRoutes.map(([owner, { epoch, routes }]) => [
          owner,
          { epoch, routes: routes.filter(({ listen }) => listeners.has(targetKey(listen))) },
        ]),
      );
    },
    stats: () =>
      [...listeners.values()].map(({ owner, route, service }) => ({
        owner,
        kind: route.kind,
        listen: route.listen,
        ...service.counters(),
      })),
    close: () =>
      inLine(async () => {
        closed = true;
        clearInterval(retrying);
        for (const listener of listeners.values()) shut(listener);
        listeners.clear();
      }),
  };
}

/** Services of different kinds can't take each other's routes. */
function serviceKind(route: Route): string {
  return route.kind === 'discovery' && route.certificate !== undefined ? 'discovery with TLS' : route.kind;
}

async function makeService(route: Route, context: RouteContext): Promise<RouteService> {
  switch (route.kind) {
    case 'either':
      return eitherService(route) as RouteService;
    case 'iam': {
      // With the signer and the API's model behind it, it is most of this process: for those who need it.
      const { iamService } = await import('./iam-route.ts');
      return (await iamService(route, context)) as RouteService;
    }
    case 'discovery':
      return (await discoveryService(route, context)) as RouteService;
    case 'spread':
      return spreadService(route) as RouteService;
  }
}

function listen(at: Target, accept: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true, keepAlive: true, allowHalfOpen: true }, accept);
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new ListenFailed(`${written(at)} can't be listened on: ${error.code ?? error.message}.`, {
          cause: error,
        }),
      ),
    );
    server.listen({ host: at.address, port: at.port, backlog: 511, exclusive: true }, () => {
      // Such as too many open files: the connection is refused, the listener lives.
      server.on('error', () => {});
      resolve(server);
    });
  });
}
