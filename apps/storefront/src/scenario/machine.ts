/** What the sale ran on, for the report. */
import { arch, cpus, release, totalmem, type } from 'node:os';
import type { Environment } from '../sale/report.ts';
import { type Stage, shopProcessesPerMode } from './stage.ts';

export function environmentOf(stage: Stage): Environment {
  return {
    cores: cpus().length,
    memoryGiB: totalmem() / 2 ** 30,
    processor: cpus()[0]?.model ?? 'unknown',
    operatingSystem: `${type()} ${release()} ${arch()}`,
    node: process.versions.node,
    engine: stage.group.engineVersion,
    postgres: stage.postgresVersion,
    shopProcesses: shopProcessesPerMode,
    data: stage.data,
  };
}
