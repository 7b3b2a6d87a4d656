/** (pure) What the router is to serve for a group, where it stands before the engines. */
import { type Route, sameRoutes } from '@larder/fleet/router/route-table';
import type { Front } from './seen-member.ts';
import type { Step } from './step.ts';

/** @returns whether it serves that already. */
export function planRoutes(front: Pick<Front, 'routes'>, wanted: readonly Route[], steps: Step[]): boolean {
  if (sameRoutes(front.routes, wanted)) return true;
  steps.push({
    kind: 'route',
    routes: wanted,
    because:
      wanted.length === 0 ? 'clients reach the engines themselves' : 'the router serves something else',
  });
  return false;
}
