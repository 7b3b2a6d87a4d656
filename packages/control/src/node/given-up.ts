/** Tells once of nodes that are not started any more, because their process kept ending. */
import type { NodeObservation } from '@larder/fleet/host';
import type { Database } from '../database/connect.ts';
import type { Logger } from '../reconciler/logger.ts';
import type { StartHistory } from '../reconciler/start-history.ts';
import { tellInDatabase } from './execute-setting.ts';

export async function recordGivenUp(
  deps: {
    readonly database: Database;
    readonly nowMs: () => number;
    readonly starts: StartHistory;
    readonly logger: Logger;
  },
  observations: ReadonlyMap<string, NodeObservation>,
): Promise<void> {
  for (const [nodeId, starts] of deps.starts.givenUp(observations)) {
    const [clusterId, cacheNodeId] = nodeId.split('.') as [string, string];
    const message =
      `Cache node ${cacheNodeId} is not started any more: its process ended soon after each of its last ` +
      `${starts} starts; read its engine.log, then reboot ${clusterId} or modify it to have it tried again`;
    await tellInDatabase(deps.database, deps.nowMs)(clusterId, message);
    deps.logger.error({ nodeId }, message);
    deps.starts.told(nodeId);
  }
}
