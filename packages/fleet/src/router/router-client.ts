/** The control plane's way to the router: starts it when somebody has routes, and again when it died. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { StaleOrder } from '../host.ts';
import { socketPlace } from './control-socket.ts';
import { readNameServerPlace } from './dns/name-server-place.ts';
import {
  type Route,
  type RouteTable,
  RouteTableInvalid,
  readRouteTable,
  type Target,
  written,
} from './route-table.ts';
import { ListenFailed, type RouteStats } from './router.ts';
import type { MasterEntry } from './sentinel/masters.ts';
import { knowsAnything, readSentinelFile, servesSentinel } from './sentinel/masters-file.ts';
import { readTables } from './table-file.ts';

const startLimitMs = 10_000;
const otherStartsMs = 3_000;
const askEveryMs = 20;
const restartEveryMs = 1_000;
const shortLifeMs = 5_000;
const mostShortLives = 5;
const requestTimeoutMs = 30_000;

export class RouterUnavailable extends Error {
  override name = 'RouterUnavailable';
}

export interface RouterClient {
  /** What the owner last put, from the disk: it serves that or, when it does not run, will as soon as it does. */
  recorded(owner: string): readonly Route[];
  /** Starts the router when there is none. @throws RouterUnavailable. */
  ready(): Promise<void>;
  /** Routes bound now, by owner. Starts the router when there is none and somebody has routes. @throws RouterUnavailable. */
  routes(): Promise<ReadonlyMap<string, RouteTable>>;
  /**
   * Returns when they are bound and on disk: all or none. Without routes and without a router there is nothing to do.
   * @throws StaleOrder, ListenFailed, RouteTableInvalid, RouterUnavailable, or an Error with what the router says.
   */
  put(owner: string, epoch: number, routes: readonly Route[]): Promise<void>;
  /**
   * Tells clients of Sentinel who is a group's primary, or that it is gone. Starts the router when there is none. Returns
   * when it is on disk. @throws StaleOrder, RouterUnavailable
   */
  putMaster(owner: string, entry: MasterEntry): Promise<void>;
  /** What they are told, by owner; also of groups that are gone. */
  masters(): ReadonlyMap<string, MasterEntry>;
  /** Empty when no router runs. */
  stats(): Promise<readonly RouteStats[]>;
  /** Lets go; the router runs on. */
  close(): Promise<void>;
}

export interface RouterClientOptions {
  /** The service's data directory, absolute. */
  readonly directory: string;
  /** What starts `larder router` for that directory: a program and its arguments. */
  readonly command: readonly string[];
  /** Where clients of Sentinel are served. Missing: nowhere. */
  readonly sentinel?: Target;
  /** Where questions about endpoints' names are answered. Missing: nowhere. */
  readonly names?: Target;
  /** Told when the router died and could not be started again. */
  readonly onProblem: (error: Error) => void;
}

/** Opens the client. A router that should run, for there are routes on disk, is started in the background. */
export async function routerClient(options: RouterClientOptions): Promise<RouterClient> {
  const { directory, command, onProblem } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const place = socketPlace(directory);
  let starting: Promise<void> | undefined;
  let watching = false;
  let closed = false;
  let life: IncomingMessage | undefined;
  let shortLives = 0;

  const isNeeded = () =>
    [...readTables(directory).values()].some(({ routes }) => routes.length > 0) ||
    servesSentinel(readSentinelFile(directory)) ||
    (readNameServerPlace(directory) !== undefined && knowsAnything(readSentinelFile(directory)));
  /** Once for each client: whoever was here before may have served it elsewhere. */
  let serversPlaced: Promise<unknown> | undefined;

  function placeServers(): Promise<unknown> {
    serversPlaced ??= Promise.all([
      placeServer('/sentinel', options.sentinel, 'Clients of Sentinel', '--sentinel-port'),
      placeServer('/names', options.names, 'Names', '--dns-listen'),
    ]).catch((error: Error) => {
      serversPlaced = undefined;
      throw error;
    });
    return serversPlaced;
  }

  async function placeServer(
    path: string,
    listen: Target | undefined,
    who: string,
    option: string,
  ): Promise<void> {
    const { listening } = (await call('PUT', path, { listen })) as { readonly listening: boolean };
    if (listen === undefined || listening) return;
    onProblem(
      new Error(
        `${who} are not served: ${written(listen)} is taken. Free it, or choose another with ${option}.`,
      ),
    );
  }

  /** One at a time here; the router's own lock is for those that others start. */
  function ensureRunning(): Promise<void> {
    starting ??= startUnlessRunning().finally(() => {
      starting = undefined;
    });
    return starting;
  }

  async function startUnlessRunning(): Promise<void> {
    let deadline = performance.now() + startLimitMs;
    let child: ChildProcess | undefined;
    while (!(await answers())) {
      if (performance.now() > deadline) {
        throw new RouterUnavailable(`The router does not answer; ${logFile(directory)} says why.`);
      }
      // None was started yet, or it was killed before it answered.
      if (child === undefined || child.signalCode !== null) {
        child = await spawnRouter();
        // One that ends by itself failed, or found another at work, which then answers soon.
        child.once('exit', (code) => {
          if (code !== null) deadline = performance.now() + otherStartsMs;
        });
      }
      await sleep(askEveryMs);
    }
    void watch();
  }

  async function answers(): Promise<boolean> {
    return call('GET', '/stats').then(
      () => true,
      () => false,
    );
  }

  async function spawnRouter(): Promise<ChildProcess> {
    const log = await open(logFile(directory), 'a', 0o600);
    try {
      // The shell allows all the files it may, and becomes the router. In a session of its own it outlives us.
      const child = spawn('/bin/sh', ['-c', 'ulimit -n "$(ulimit -Hn)"; exec "$0" "$@"', ...command], {
        cwd: directory,
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
      });
      await new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve);
        child.once('error', reject);
      });
      child.unref();
      return child;
    } catch (error) {
      throw new RouterUnavailable(`The router can't be started: ${(error as Error).message}`, {
        cause: error,
      });
    } finally {
      await log.close();
    }
  }

  /** Holds on to the router's life; when it breaks off, the router is started again. */
  async function watch(): Promise<void> {
    if (watching || closed) return;
    watching = true;
    const beganMs = performance.now();
    await lifeEnded().catch(() => {});
    watching = false;
    // One that can't live is not started over and over without a pause.
    shortLives = performance.now() - beganMs < shortLifeMs ? shortLives + 1 : 0;
    if (shortLives > mostShortLives) await sleep(restartEveryMs);
    while (!closed && isNeeded()) {
      try {
        return await ensureRunning();
      } catch (error) {
        onProblem(error as Error);
        await sleep(restartEveryMs);
      }
    }
  }

  function lifeEnded(): Promise<void> {
    return new Promise((resolve, reject) => {
      const asking = request({ socketPath: place.path, path: '/life', agent: false }, (response) => {
        life = response;
        if (closed) response.destroy();
        response.resume();
        response.once('close', resolve);
      });
      asking.once('error', reject);
      asking.end();
    });
  }

  async function call(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await new Promise<{ status: number; text: string }>((resolve, reject) => {
      const asking = request(
        { socketPath: place.path, method, path, timeout: requestTimeoutMs, agent: false },
        (message) => {
          const chunks: Buffer[] = [];
          message.on('data', (chunk: Buffer) => chunks.push(chunk));
          message.once('error', reject);
          message.once('end', () =>
            resolve({ status: message.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
          );
        },
      );
      asking.once('timeout', () => asking.destroy(new Error('no answer in time')));
      asking.once('error', reject);
      asking.end(body === undefined ? undefined : JSON.stringify(body));
    }).catch((error: Error) => {
      throw new RouterUnavailable(`The router does not answer: ${error.message}`, { cause: error });
    });
    const value = response.text === '' ? undefined : (JSON.parse(response.text) as unknown);
    if (response.status >= 300) throw errorOf(value);
    return value;
  }

  if (isNeeded()) {
    const { listen } = readSentinelFile(directory);
    void ensureRunning()
      .then(
        () =>
          (isDeepStrictEqual(listen, options.sentinel) &&
            isDeepStrictEqual(readNameServerPlace(directory), options.names)) ||
          placeServers(),
      )
      .catch(onProblem);
  }

  return {
    recorded: (owner) => readTables(directory).get(owner)?.routes ?? [],
    ready: ensureRunning,
    async routes() {
      if (isNeeded()) await ensureRunning();
      else if (!(await answers())) return new Map();
      const owners = (await call('GET', '/routes')) as Readonly<Record<string, unknown>>;
      return new Map(Object.entries(owners).map(([owner, table]) => [owner, readRouteTable(table)]));
    },
    async put(owner, epoch, routes) {
      // An owner without routes is on disk with its epoch only if it once had some.
      if (routes.length === 0 && !readTables(directory).has(owner)) return;
      await ensureRunning();
      await call('PUT', `/routes/${encodeURIComponent(owner)}`, { epoch, routes });
    },
    async putMaster(owner, entry) {
      await ensureRunning();
      await placeServers();
      await call('PUT', `/masters/${encodeURIComponent(owner)}`, entry);
    },
    masters: () => readSentinelFile(directory).masters,
    async stats() {
      if (!(await answers())) return [];
      return (await call('GET', '/stats')) as readonly RouteStats[];
    },
    async close() {
      if (closed) return;
      closed = true;
      life?.destroy();
      await starting?.catch(() => {});
      place.close();
    },
  };
}

function logFile(directory: string): string {
  return join(directory, 'router.log');
}

function errorOf(value: unknown): Error {
  const { error, message } = (value ?? {}) as { error?: string; message?: string };
  const text = message ?? 'The router refused without a reason.';
  if (error === StaleOrder.name) return new StaleOrder(text);
  if (error === ListenFailed.name) return new ListenFailed(text);
  return error === RouteTableInvalid.name ? new RouteTableInvalid(text) : new Error(text);
}
