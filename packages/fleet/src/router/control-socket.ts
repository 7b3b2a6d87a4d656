/**
 * How the control plane talks to the router: HTTP over a unix socket, `router.sock` in the data directory, for its
 * owner alone.
 *
 * - `PUT /routes/OWNER` with `{ epoch, routes }`: 204 when they are bound and on disk, else `{ error, message }`.
 * - `PUT /masters/OWNER` with `{ epoch, master }`, none when the group is gone: what clients of Sentinel are told; 204 when
 *   it is on disk. `PUT /sentinel` with `{ listen }`, none to switch it off: where; `{ listening }`, false when it is taken.
 *   `PUT /names` likewise: where questions of the domain name system are answered.
 * - `GET /routes`: what is bound now. `GET /stats`: counters. Both hold secrets or tell of them: the socket has mode 0600.
 * - `GET /life`: an answer that begins and never ends; it breaks off when the router dies.
 */
import { chmodSync, closeSync, openSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { StaleOrder } from '../host.ts';
import { bodyText } from '../request-body.ts';
import type { NameServer } from './dns/name-server.ts';
import { type Route, RouteTableInvalid, readTarget } from './route-table.ts';
import { ListenFailed, type Router } from './router.ts';
import type { SentinelFacade } from './sentinel/facade.ts';
import { MasterInvalid, readMasterEntry } from './sentinel/masters.ts';

const maxBodyBytes = 8 * 2 ** 20;
const requestTimeoutMs = 10_000;
/** Nothing that a URL would write in another way. */
const ownerName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/;

/**
 * Where the socket is, in few enough letters: a unix socket's path has at most 107 bytes, a data directory's may have
 * more. The descriptor must be kept open as long as the path is used.
 */
export function socketPlace(
  dataDirectory: string,
  name = 'router.sock',
): { readonly path: string; close(): void } {
  const descriptor = openSync(dataDirectory, 'r');
  return { path: `/proc/self/fd/${descriptor}/${name}`, close: () => closeSync(descriptor) };
}

export interface ControlSocket {
  /** When it last heard of somebody, or undefined while somebody holds `GET /life`. */
  readonly lastHeardAtMs: number | undefined;
  close(): void;
}

/** Serves the socket. The caller holds the router's lock: a socket file that is there is a dead router's. */
export async function serveControlSocket(
  dataDirectory: string,
  router: Router,
  sentinel: Pick<SentinelFacade, 'put' | 'listenOn' | 'listening'>,
  names: Pick<NameServer, 'listenOn' | 'listening'>,
  nowMs: () => number,
): Promise<ControlSocket> {
  const place = socketPlace(dataDirectory);
  const lives = new Set<ServerResponse>();
  let heardAtMs = nowMs();

  const server = createServer((request, response) => {
    heardAtMs = nowMs();
    void answer(request, response).catch((error: Error) => refuse(response, error));
  });
  server.requestTimeout = requestTimeoutMs;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url = '' } = request;
    const [, what, owner] = /^\/(routes|masters)\/([^/?]+)$/.exec(url) ?? [];
    if (method === 'PUT' && owner !== undefined) {
      if (!ownerName.test(owner)) throw new RouteTableInvalid('The owner is no name of a group.');
      const body = JSON.parse(await bodyOf(request)) as unknown;
      if (what === 'masters') sentinel.put(owner, readMasterEntry(body));
      else {
        const { epoch, routes } = body as { epoch: number; routes: Route[] };
        await router.put(owner, epoch, routes);
      }
      response.writeHead(204).end();
    } else if (method === 'PUT' && (url === '/sentinel' || url === '/names')) {
      const server = url === '/names' ? names : sentinel;
      const { listen } = JSON.parse(await bodyOf(request)) as { listen?: unknown };
      await server.listenOn(listen === undefined ? undefined : readTarget(listen, 'listen'));
      sendJson(response, { listening: server.listening !== undefined });
    } else if (method === 'GET' && url === '/routes') sendJson(response, Object.fromEntries(router.bound()));
    else if (method === 'GET' && url === '/stats') sendJson(response, router.stats());
    else if (method === 'GET' && url === '/life') {
      lives.add(response);
      response.once('close', () => {
        heardAtMs = nowMs();
        lives.delete(response);
      });
      response.writeHead(200).flushHeaders();
    } else response.writeHead(404).end();
  }

  rmSync(place.path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(place.path, resolve);
  });
  chmodSync(place.path, 0o600);
  return {
    get lastHeardAtMs() {
      return lives.size > 0 ? undefined : heardAtMs;
    },
    close() {
      end(server);
      place.close();
    },
  };
}

function end(server: Server): void {
  server.close();
  server.closeAllConnections();
}

function bodyOf(request: IncomingMessage): Promise<string> {
  const tooLong = () => new RouteTableInvalid(`A table has at most ${maxBodyBytes} bytes.`);
  return bodyText(request, maxBodyBytes, tooLong);
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

/** Names that the client turns back into errors. */
const statusOf = new Map<string, number>([
  [StaleOrder.name, 409],
  [ListenFailed.name, 409],
  [RouteTableInvalid.name, 400],
  [MasterInvalid.name, 400],
]);

function refuse(response: ServerResponse, error: Error): void {
  if (response.headersSent) return void response.destroy();
  const body = error instanceof SyntaxError ? 'The body is not JSON.' : error.message;
  response
    .writeHead(statusOf.get(error.constructor.name) ?? 500, { 'content-type': 'application/json' })
    .end(JSON.stringify({ error: error.constructor.name, message: body }));
}
