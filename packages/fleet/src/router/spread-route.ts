/** Connections in turn over several targets. */
import type { Socket } from 'node:net';
import { connections, connectToFirst, inTurn, join } from './connections.ts';
import type { RouteService } from './route-service.ts';
import { type SpreadRoute, targetsOf } from './route-table.ts';

export function spreadService(first: SpreadRoute): RouteService<SpreadRoute> {
  const open = connections();
  let route = first;
  const deal = inTurn();

  async function lead(socket: Socket): Promise<void> {
    const connection = open.add(socket);
    const { targets, fallback } = route;
    const dealt = deal(targets);
    const upstream = await open.lead(connection, () =>
      connectToFirst(fallback === undefined ? dealt : [...dealt, fallback]),
    );
    if (upstream !== undefined) join(socket, upstream);
  }

  return {
    accept: (socket) => void lead(socket).catch(() => socket.destroy()),
    prepare: async (next) => () => {
      route = next;
      open.keepOnly(targetsOf(next));
    },
    counters: () => ({ connections: open.open, totalConnections: open.total }),
    close: () => open.closeAll(),
  };
}
