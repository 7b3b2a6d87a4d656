/**
 * What the command line asks a running service: HTTP on a unix socket in the data directory, for its owner alone.
 *
 * - `POST /restore-drills`, with `?id=ID` for one group or cluster: answered when they are over.
 * - `GET /topic-deliveries`; `POST /topic-deliveries/retry`; `POST /webhook-secrets?subscription=ARN`.
 * - `GET /alarms`; `POST /recommended-alarms?id=ID`, with `&topic=ARN`.
 * - With a fleet: `GET /hosts`; `DELETE /hosts/NAME`, with `?lost` for one that is gone for good; `POST /join-tokens`.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { CloudWatch } from '@larder/control/alarm/cloudwatch';
import { HostRefused, type HostsContext, listHosts, removeHost } from '@larder/control/host/requests';
import type { RestoreDrills } from '@larder/control/restore-drill/restore-drills';
import type { Topics } from '@larder/control/topic/topics';
import { socketPlace } from '@larder/fleet/router/control-socket';
import { UsageError } from '../usage-error.ts';

const socketName = 'operator.sock';
const answerLimitMs = 30_000;

export interface FleetOperations {
  readonly hosts: HostsContext;
  readonly makeJoinToken: () => Promise<string>;
}

export interface OperatorSocketOptions extends Partial<FleetOperations> {
  readonly directory: string;
  readonly drill: RestoreDrills['run'];
  readonly alarms: Pick<CloudWatch, 'recommend' | 'showAlarms'>;
  readonly topics: Pick<Topics, 'showDeliveries' | 'revive' | 'newSecret'>;
}

const noFleet =
  'This service runs its nodes on its own machine. For hosts start it with "larder server --hosts-listen ADDRESS:PORT --endpoint-addresses RANGE".';

/** Resolves when it listens. The caller has the data directory to itself: a socket that is there is a dead one's. */
export async function operatorSocket(options: OperatorSocketOptions): Promise<{ close(): void }> {
  const { hosts, makeJoinToken } = options;
  const place = socketPlace(options.directory, socketName);
  const server = createServer((asked, response) => {
    answer(asked, response).catch((error: Error) => {
      const status = error instanceof HostRefused ? 409 : 500;
      send(response, status, { message: error.message });
    });
  });

  async function answer({ method, url = '' }: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(url, 'http://operator');
    if (method === 'POST' && pathname === '/restore-drills') {
      return send(response, 200, await options.drill(searchParams.get('id')?.toLowerCase()));
    }
    if (method === 'GET' && pathname === '/alarms') {
      return send(response, 200, await options.alarms.showAlarms());
    }
    if (method === 'POST' && pathname === '/recommended-alarms') {
      const id = (searchParams.get('id') ?? '').toLowerCase();
      const names = await options.alarms.recommend(id, searchParams.get('topic') ?? undefined);
      if (names !== undefined) return send(response, 200, names);
      return send(response, 404, { message: `There is no replication group and no cache cluster ${id}.` });
    }
    if (method === 'GET' && pathname === '/topic-deliveries') {
      return send(response, 200, await options.topics.showDeliveries());
    }
    if (method === 'POST' && pathname === '/topic-deliveries/retry') {
      return send(response, 200, { retried: await options.topics.revive() });
    }
    if (method === 'POST' && pathname === '/webhook-secrets') {
      const secret = await options.topics.newSecret(searchParams.get('subscription') ?? '');
      if (secret !== undefined) return send(response, 200, { secret });
      return send(response, 404, {
        message: 'There is no such subscription; see "aws sns list-subscriptions".',
      });
    }
    if (hosts === undefined || makeJoinToken === undefined) {
      return send(response, 404, { message: noFleet });
    }
    const host = /^\/hosts\/([a-z0-9-]{1,40})$/.exec(pathname)?.[1];
    if (method === 'GET' && pathname === '/hosts') return send(response, 200, await listHosts(hosts));
    if (method === 'POST' && pathname === '/join-tokens') {
      return send(response, 200, { token: await makeJoinToken() });
    }
    if (method === 'DELETE' && host !== undefined) {
      return send(response, 200, { moved: await removeHost(hosts, host, searchParams.has('lost')) });
    }
    send(response, 404, { message: 'There is nothing here.' });
  }

  rmSync(place.path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(place.path, resolve);
  });
  chmodSync(place.path, 0o600);
  return {
    close() {
      server.close();
      server.closeAllConnections();
      place.close();
    },
  };
}

function send(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

/** Asks the service of that data directory. @throws UsageError when it does not run, or refuses. */
export async function askOperator(
  directory: string,
  method: string,
  path: string,
  limitMs = answerLimitMs,
): Promise<unknown> {
  let place: ReturnType<typeof socketPlace>;
  try {
    place = socketPlace(directory, socketName);
  } catch {
    throw new UsageError(`There is no data directory ${directory}; name the service's with --data-dir.`);
  }
  try {
    return await new Promise((resolve, reject) => {
      const asking = request(
        { socketPath: place.path, method, path, timeout: limitMs, agent: false },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.once('error', reject);
          response.once('end', () => {
            const value = JSON.parse(Buffer.concat(chunks).toString()) as { message?: string };
            if (response.statusCode === 200) resolve(value);
            else reject(new UsageError(value.message ?? 'The service refused.'));
          });
        },
      );
      asking.once('timeout', () => asking.destroy(new Error('no answer in time')));
      asking.once('error', (error) =>
        reject(
          new UsageError(
            `No leading service answers in ${directory} (${error.message}). Start it with "larder server", or name its data directory with --data-dir; of several controllers ask the one that leads.`,
          ),
        ),
      );
      asking.end();
    });
  } finally {
    place.close();
  }
}
