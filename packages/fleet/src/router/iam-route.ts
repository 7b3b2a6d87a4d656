/** TLS ended here, and tokens as passwords: what an engine can't do itself. */
import type { TLSSocket } from 'node:tls';
import { verifyIamToken } from '@larder/contract/iam-token';
import { terminateTls } from './certificate-files.ts';
import { chunksOf, connections, connectToFirst, endTogether, inTurn, send } from './connections.ts';
import { IamSession, type Verdict } from './iam-session.ts';
import { ProtocolFault } from './resp-skimmer.ts';
import type { RouteContext, RouteService } from './route-service.ts';
import { type IamRoute, type IamUser, targetsOf } from './route-table.ts';
import { throttle } from './throttle.ts';

const defaultAuthenticateWithinMs = 30_000;
const sweepEveryMs = 1_000;
/** A log line for failures at most so often. */
const reportEveryMs = 10_000;

export async function iamService(
  first: IamRoute,
  { nowMs, lookupSecret, onProblem, authenticateWithinMs = defaultAuthenticateWithinMs }: RouteContext,
): Promise<RouteService<IamRoute>> {
  const open = connections();
  const sessions = new Map<TLSSocket, IamSession>();
  const failures = throttle({ burst: 20, perSecond: 2 });
  const counters = { authentications: 0, failures: 0, throttled: 0, expirations: 0, unauthenticated: 0 };
  const deal = inTurn();
  let route = first;
  let users = usersOf(first);
  let reportedAtMs = Number.NEGATIVE_INFINITY;

  const tls = await terminateTls({
    files: first.certificate,
    onSecure: (client) => void serve(client).catch(() => client.destroy()),
    onProblem,
  });

  async function serve(client: TLSSocket): Promise<void> {
    const connection = open.add(client);
    const { anonymous } = route;
    const targets = deal(targetsOf(route));
    const source = client.remoteAddress ?? '';
    const session = new IamSession({
      findUser: (userName) => users.get(userName),
      judge: (user, token) => judge(user, token, source),
      nowMs,
      anonymous,
    });
    const deadline = setTimeout(() => {
      if (session.authenticated) return;
      counters.unauthenticated += 1;
      client.destroy();
    }, authenticateWithinMs);
    sessions.set(client, session);
    client.once('close', () => {
      clearTimeout(deadline);
      sessions.delete(client);
    });
    const engine = await open.lead(connection, () => connectToFirst(targets));
    if (engine === undefined) return;

    let fault = '';
    engine.pipe(client, { end: false });
    // Behind the engine's last answer, so that each is where it belongs.
    engine.once('end', () => client.end(fault));
    endTogether(client, engine);
    try {
      for await (const chunk of chunksOf(client)) {
        for await (const bytes of session.feed(chunk)) await send(engine, bytes);
      }
    } catch (error) {
      if (!(error instanceof ProtocolFault)) throw error;
      fault = `-ERR Protocol error: ${error.message}\r\n`;
    }
    engine.end();
  }

  async function judge(user: IamUser, token: string, source: string): Promise<Verdict> {
    const { cacheName, region, resourceType } = route;
    const attempts = `${source} ${user.userName}`;
    if (!failures.allows(attempts, nowMs())) {
      counters.throttled += 1;
      return 'throttled';
    }
    const verdict = await verifyIamToken(token, {
      cacheName,
      userId: user.userId,
      ...(region !== undefined && { region }),
      ...(resourceType !== undefined && { resourceType }),
      lookupSecret,
      now: new Date(nowMs()),
    });
    if (verdict.ok) {
      counters.authentications += 1;
      return 'accepted';
    }
    counters.failures += 1;
    failures.failed(attempts, nowMs());
    report(user, verdict.why);
    return verdict.why;
  }

  function report({ userName }: IamUser, why: string): void {
    if (nowMs() - reportedAtMs < reportEveryMs) return;
    reportedAtMs = nowMs();
    onProblem(new Error(`A token of ${userName} for ${route.cacheName} was refused: ${why}.`));
  }

  const sweep = setInterval(() => {
    for (const [client, session] of sessions) {
      if (session.expiresAtMs === undefined || session.expiresAtMs > nowMs()) continue;
      counters.expirations += 1;
      sessions.delete(client);
      client.destroy();
    }
  }, sweepEveryMs);
  sweep.unref();

  return {
    accept: (socket) => tls.accept(socket),
    async prepare(next) {
      const useCertificate = await tls.read(next.certificate);
      return () => {
        useCertificate();
        route = next;
        users = usersOf(next);
        open.keepOnly(targetsOf(next));
      };
    },
    counters: () => ({ connections: open.open, totalConnections: open.total, iam: { ...counters } }),
    close() {
      clearInterval(sweep);
      tls.close();
      open.closeAll();
    },
  };
}

function usersOf({ iamUsers }: IamRoute): ReadonlyMap<string, IamUser> {
  return new Map(iamUsers.map((user) => [user.userName, user]));
}
