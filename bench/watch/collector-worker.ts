/**
 * A process that watches the nodes of a data directory as the service does, and collects their metrics when it is told to: so
 * that what collecting takes can be told from what watching takes.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectDatabase } from '@larder/control/database/connect';
import { type Metrics, startMetrics } from '@larder/control/metric/start-metrics';
import { connectMetricFile } from '@larder/control/metric/tables';
import { nodeSecrets, openSecretKey } from '@larder/fleet/node-secrets';
import { processHost } from '@larder/fleet/process-host';
import { serve } from '../worker-service.ts';

export interface CollectorStart {
  /** Of a service that ended; its nodes run. */
  readonly dataDirectory: string;
}

/** What was used since the process began. */
export interface Used {
  readonly atMs: number;
  readonly cpuMs: number;
  /** By node: of all its threads, in milliseconds to the microsecond as the kernel schedules them. */
  readonly nodes: Readonly<Record<string, number>>;
  readonly residentBytes: number;
}

const never = async () => {
  throw new Error('Nothing is started here.');
};

serve<CollectorStart>(async ({ dataDirectory }) => {
  const logger = { debug() {}, info() {}, warn: console.error, error: console.error };
  const host = await processHost({
    id: 'bench',
    directory: dataDirectory,
    findBuild: never,
    secrets: nodeSecrets(await openSecretKey(dataDirectory)),
    certificates: { issue: never },
    onProblem: (error) => console.error(error),
  });
  const database = connectDatabase(join(dataDirectory, 'state.db'));
  const metricDatabase = connectMetricFile(join(dataDirectory, 'metrics.db'));
  let metrics: Metrics | undefined;

  return {
    async begin() {
      metrics = startMetrics({ database, metricDatabase, host, nowMs: Date.now, logger });
    },
    async used(): Promise<Used> {
      const { user, system } = process.cpuUsage();
      const seen = await host.observe(host.nodeIds());
      const nodes: Record<string, number> = {};
      for (const [nodeId, observed] of seen) {
        if (observed.process.kind === 'running')
          nodes[nodeId] = scheduledMs(observed.process.incarnation.pid);
      }
      return {
        atMs: performance.now(),
        cpuMs: (user + system) / 1_000,
        nodes,
        residentBytes: process.memoryUsage.rss(),
      };
    },
    async end() {
      await metrics?.stop();
      await metricDatabase.destroy();
      await database.destroy();
      await host.close();
    },
  };
});

/** Of the first thread, which is the one that executes commands. */
function scheduledMs(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
}
