/** The machine that the service runs on: nodes are its processes, on its loopback addresses. */
import { oneMachine, onlyHost } from '@larder/control/placement/placement';
import type { EngineName } from '@larder/engine/engine';
import type { EngineBuild } from '@larder/engine/store/engine-build';
import { addressesOfBlock } from '@larder/fleet/address-pool';
import type { NodeSecrets } from '@larder/fleet/node-secrets';
import { type NodeCertificates, processHost } from '@larder/fleet/process-host';
import { routerClient } from '@larder/fleet/router/router-client';
import type { CrashingAt } from '../crash-point.ts';
import type { Site } from './site.ts';

export interface OneMachineOptions {
  readonly directory: string;
  readonly findBuild: (engine: EngineName, version: string) => Promise<EngineBuild>;
  readonly secrets: NodeSecrets;
  readonly certificates: NodeCertificates;
  /** What starts the router: a program and its arguments. */
  readonly routerCommand: readonly string[];
  /** On loopback; 0: clients of Sentinel are not served. */
  readonly sentinelPort: number;
  /** Tests only. */
  readonly crashing: CrashingAt;
  readonly onProblem: (error: Error, what: string) => void;
}

/** What changes nothing that others act on; logs are delivered in their own time. */
const looksOnly = [
  'observe',
  'readSettings',
  'readings',
  'deliverLogs',
  'readLog',
  'isAddressFree',
  'certificateFiles',
  'onChange',
  'close',
] as const;

export async function oneMachineSite(options: OneMachineOptions): Promise<Site> {
  const { directory, findBuild, secrets, certificates, crashing } = options;
  const host = await processHost({
    id: onlyHost,
    directory,
    findBuild,
    secrets,
    certificates,
    onProblem: (error) => options.onProblem(error, 'Something was asked of a node and went wrong.'),
  });
  const router = await routerClient({
    directory,
    command: options.routerCommand,
    ...(options.sentinelPort !== 0 && { sentinel: { address: '127.0.0.1', port: options.sentinelPort } }),
    onProblem: (error) => options.onProblem(error, 'The router.'),
  });
  return {
    host: crashing(host, looksOnly),
    router: crashing(router, ['routes', 'recorded', 'ready', 'stats', 'close']),
    ...(options.sentinelPort !== 0 && { sentinel: router }),
    placement: oneMachine(() => addressesOfBlock(directory), host.isAddressFree),
    async begin() {},
    async close() {
      await host.close();
      await router.close();
    },
  };
}
