/**
 * (pure) What the router serves: for each of its listening addresses what is done with the connections that come there.
 * Every table belongs to an owner, a group, and carries the epoch of the decision that made it.
 */

export interface Target {
  readonly address: string;
  readonly port: number;
}

/** A target that is reached by TLS when `caFile` names the authority that its certificate must be of. */
export interface SecureTarget extends Target {
  readonly caFile?: string;
}

/** PEM files that are read again when they change, and whenever a table that names them is put. */
export interface CertificateFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** Plain and TLS on one port: bytes go unchanged to the engine's port for what the client began to speak. */
export interface EitherRoute {
  readonly kind: 'either';
  readonly listen: Target;
  readonly plain: Target;
  readonly tls: Target;
  /** More nodes that serve alike: connections go to each in turn. */
  readonly more?: readonly { readonly plain: Target; readonly tls: Target }[];
}

export interface IamUser {
  readonly userName: string;
  readonly userId: string;
  /** What the engine knows the user by. Nobody else is told it. */
  readonly upstreamPassword: string;
}

/** Ends TLS and lets `iamUsers` in by token; all others pass with what they send. */
export interface IamRoute {
  readonly kind: 'iam';
  readonly listen: Target;
  readonly certificate: CertificateFiles;
  readonly upstream: SecureTarget;
  /** More nodes that serve alike: connections go to each in turn. */
  readonly moreUpstreams?: readonly SecureTarget[];
  /** What tokens must be signed for. */
  readonly cacheName: string;
  readonly region?: string;
  readonly resourceType?: 'ServerlessCache';
  readonly iamUsers: readonly IamUser[];
  /** The engine serves clients that never authenticate. Else they have half a minute for it, and small frames. */
  readonly anonymous: boolean;
}

export interface DiscoveredNode {
  readonly host: string;
  /** May be empty. */
  readonly ip: string;
  readonly port: number;
}

/** Memcached that also answers who the nodes are. */
export interface DiscoveryRoute {
  readonly kind: 'discovery';
  readonly listen: Target;
  /** With it clients speak TLS. */
  readonly certificate?: CertificateFiles;
  readonly configVersion: number;
  /** As they are told to clients, sorted by host. */
  readonly nodes: readonly DiscoveredNode[];
  /** Every other command goes to the first of these that accepts a connection. */
  readonly targets: readonly SecureTarget[];
}

/** Each connection to the next target that accepts it, or to `fallback` when none does. */
export interface SpreadRoute {
  readonly kind: 'spread';
  readonly listen: Target;
  readonly targets: readonly Target[];
  readonly fallback?: Target;
}

export type Route = EitherRoute | IamRoute | DiscoveryRoute | SpreadRoute;

export interface RouteTable {
  readonly epoch: number;
  readonly routes: readonly Route[];
}

export class RouteTableInvalid extends Error {
  override name = 'RouteTableInvalid';
}

const maxRoutes = 5_000;
const maxUsers = 1_000;
const maxTargets = 500;
const maxTextLength = 4_096;

/** Equal for one place, whatever is done there. */
export function targetKey({ address, port }: Target): string {
  return `${address} ${port}`;
}

/** For people. */
export function written({ address, port }: Target): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Every place that a route's connections may lead to. */
export function targetsOf(route: Route): readonly SecureTarget[] {
  switch (route.kind) {
    case 'either':
      return [route, ...(route.more ?? [])].flatMap(({ plain, tls }) => [plain, tls]);
    case 'iam':
      return [route.upstream, ...(route.moreUpstreams ?? [])];
    case 'discovery':
      return route.targets;
    case 'spread':
      return route.fallback === undefined ? route.targets : [...route.targets, route.fallback];
  }
}

/** Whether both tables say the same, in whatever order. */
export function sameRoutes(one: readonly Route[], other: readonly Route[]): boolean {
  const digest = (routes: readonly Route[]) =>
    routes.map((route) => JSON.stringify(readRoute(route, ''))).sort();
  return digest(one).join('\n') === digest(other).join('\n');
}

/**
 * Reads a table from what came over a wire or from a file. Unknown fields are left out.
 * @throws RouteTableInvalid naming the field that is wrong, never its value: it may be a secret.
 */
export function readRouteTable(value: unknown): RouteTable {
  const table = record(value, 'the table');
  const routes = list(table.routes, 'routes', maxRoutes).map((each, index) =>
    readRoute(each, `routes[${index}].`),
  );
  const listens = new Set(routes.map(({ listen }) => targetKey(listen)));
  if (listens.size < routes.length)
    throw new RouteTableInvalid('Two routes listen on the same address and port.');
  for (const route of routes) {
    if (targetsOf(route).some((target) => listens.has(targetKey(target)))) {
      throw new RouteTableInvalid(
        `The route on ${written(route.listen)} leads to an address the router serves.`,
      );
    }
  }
  return { epoch: whole(table.epoch, 'epoch', Number.MAX_SAFE_INTEGER), routes };
}

function readRoute(value: unknown, at: string): Route {
  const route = record(value, at === '' ? 'the route' : at.slice(0, -1));
  const listen = readTarget(route.listen, `${at}listen`);
  switch (route.kind) {
    case 'either':
      return {
        kind: 'either',
        listen,
        ...readPair(route, at),
        ...(route.more !== undefined && {
          more: list(route.more, `${at}more`, maxTargets).map((each, index) =>
            readPair(record(each, `${at}more[${index}]`), `${at}more[${index}].`),
          ),
        }),
      };
    case 'iam':
      return readIamRoute(route, listen, at);
    case 'discovery':
      return {
        kind: 'discovery',
        listen,
        ...(route.certificate !== undefined && {
          certificate: readCertificate(route.certificate, `${at}certificate`),
        }),
        configVersion: whole(route.configVersion, `${at}configVersion`, Number.MAX_SAFE_INTEGER),
        nodes: list(route.nodes, `${at}nodes`, maxTargets).map((each, index) =>
          readNode(each, `${at}nodes[${index}]`),
        ),
        targets: list(route.targets, `${at}targets`, maxTargets).map((each, index) =>
          readSecureTarget(each, `${at}targets[${index}]`),
        ),
      };
    case 'spread':
      return {
        kind: 'spread',
        listen,
        targets: list(route.targets, `${at}targets`, maxTargets).map((each, index) =>
          readTarget(each, `${at}targets[${index}]`),
        ),
        ...(route.fallback !== undefined && { fallback: readTarget(route.fallback, `${at}fallback`) }),
      };
    default:
      throw new RouteTableInvalid(`${at}kind must be either, iam, discovery or spread.`);
  }
}

function readPair(pair: Readonly<Record<string, unknown>>, at: string): { plain: Target; tls: Target } {
  return { plain: readTarget(pair.plain, `${at}plain`), tls: readTarget(pair.tls, `${at}tls`) };
}

function readIamRoute(route: Readonly<Record<string, unknown>>, listen: Target, at: string): IamRoute {
  const iamUsers = list(route.iamUsers, `${at}iamUsers`, maxUsers).map((each, index) =>
    readUser(each, `${at}iamUsers[${index}]`),
  );
  if (new Set(iamUsers.map(({ userName }) => userName)).size < iamUsers.length) {
    throw new RouteTableInvalid(`${at}iamUsers names a user twice.`);
  }
  if (typeof route.anonymous !== 'boolean')
    throw new RouteTableInvalid(`${at}anonymous must be true or false.`);
  if (route.resourceType !== undefined && route.resourceType !== 'ServerlessCache') {
    throw new RouteTableInvalid(`${at}resourceType must be ServerlessCache or left out.`);
  }
  return {
    kind: 'iam',
    listen,
    certificate: readCertificate(route.certificate, `${at}certificate`),
    upstream: readSecureTarget(route.upstream, `${at}upstream`),
    ...(route.moreUpstreams !== undefined && {
      moreUpstreams: list(route.moreUpstreams, `${at}moreUpstreams`, maxTargets).map((each, index) =>
        readSecureTarget(each, `${at}moreUpstreams[${index}]`),
      ),
    }),
    cacheName: text(route.cacheName, `${at}cacheName`),
    ...(route.region !== undefined && { region: text(route.region, `${at}region`) }),
    ...(route.resourceType !== undefined && { resourceType: route.resourceType }),
    iamUsers,
    anonymous: route.anonymous,
  };
}

function readUser(value: unknown, at: string): IamUser {
  const user = record(value, at);
  const userName = text(user.userName, `${at}.userName`);
  // It is what AUTH with a password alone means.
  if (userName === 'default') throw new RouteTableInvalid(`${at}.userName can't be the default user.`);
  return {
    userName,
    userId: text(user.userId, `${at}.userId`),
    upstreamPassword: text(user.upstreamPassword, `${at}.upstreamPassword`),
  };
}

function readCertificate(value: unknown, at: string): CertificateFiles {
  const files = record(value, at);
  return {
    certificateFile: text(files.certificateFile, `${at}.certificateFile`),
    keyFile: text(files.keyFile, `${at}.keyFile`),
  };
}

function readNode(value: unknown, at: string): DiscoveredNode {
  const node = record(value, at);
  // They are put between bars and blanks for clients to read.
  if (!/^[A-Za-z0-9._:-]{1,255}$/.test(String(node.host)))
    throw new RouteTableInvalid(`${at}.host is no host.`);
  if (!/^[0-9A-Fa-f.:]{0,45}$/.test(String(node.ip))) throw new RouteTableInvalid(`${at}.ip is no address.`);
  return { host: String(node.host), ip: String(node.ip), port: portOf(node.port, `${at}.port`) };
}

function readSecureTarget(value: unknown, at: string): SecureTarget {
  const target = record(value, at);
  return {
    ...readTarget(value, at),
    ...(target.caFile !== undefined && { caFile: text(target.caFile, `${at}.caFile`) }),
  };
}

export function readTarget(value: unknown, at: string): Target {
  const target = record(value, at);
  const address = text(target.address, `${at}.address`);
  if (!/^(\d{1,3}(\.\d{1,3}){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$/.test(address)) {
    throw new RouteTableInvalid(`${at}.address must be an IP address.`);
  }
  return { address, port: portOf(target.port, `${at}.port`) };
}

function portOf(value: unknown, at: string): number {
  const port = whole(value, at, 65_535);
  if (port === 0) throw new RouteTableInvalid(`${at} must be 1 to 65535.`);
  return port;
}

function whole(value: unknown, at: string, most: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most)
    return value as number;
  throw new RouteTableInvalid(`${at} must be a whole number from 0 to ${most}.`);
}

function text(value: unknown, at: string): string {
  if (typeof value === 'string' && value.length > 0 && value.length <= maxTextLength) return value;
  throw new RouteTableInvalid(`${at} must be a text of 1 to ${maxTextLength} characters.`);
}

function list(value: unknown, at: string, most: number): readonly unknown[] {
  if (Array.isArray(value) && value.length <= most) return value;
  throw new RouteTableInvalid(`${at} must be a list of at most ${most}.`);
}

function record(value: unknown, at: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new RouteTableInvalid(`${at} must be an object.`);
}
