/** (pure) The nouns of service updates: a newer build in the engine store, and what was done with it where. */
import { type EngineName, engineTraits, isNewerBuild } from '@larder/engine/engine';
import type { EngineBuild } from '@larder/engine/store/engine-build';

/** A build of the store, as something that older nodes of the same major version can be brought to. */
export interface ServiceUpdate {
  /** `valkey-8.1.1.2.13.3`: the release and the revision of its package. */
  readonly name: string;
  readonly engine: EngineName;
  readonly version: string;
  /** For people: the package it came in. */
  readonly detail: string;
}

export type UpdatedResource = 'replication-group' | 'cache-cluster';

/** That an update was asked for. What has become of it follows from the nodes. */
export interface UpdateAction {
  readonly update: string;
  readonly resource: UpdatedResource;
  readonly id: string;
  readonly startedAtMs: number;
  /** No further node is to be brought to it. */
  readonly stopped: boolean;
}

export type UpdateActionStatus = 'not-applied' | 'in-progress' | 'stopping' | 'stopped' | 'complete';

export function updatesOf(builds: readonly EngineBuild[]): ServiceUpdate[] {
  const seen = new Set<string>();
  return builds.flatMap(({ engine, version, detail }) => {
    const name = `${engine}-${version}`;
    if (seen.has(name)) return [];
    seen.add(name);
    return [{ name, engine, version, detail }];
  });
}

/** Newer, of the same major version: what a customer need not prepare for. Memcached's nodes would lose what they hold. */
export function appliesTo(
  update: ServiceUpdate,
  { engine, engineVersion }: { readonly engine: EngineName; readonly engineVersion: string },
): boolean {
  const major = (version: string) => version.split('.')[0];
  return (
    engineTraits[engine].replicates &&
    update.engine === engine &&
    major(update.version) === major(engineVersion) &&
    isNewerBuild(update.version, engineVersion)
  );
}

/** @param nodes how many there are, and how many run the update's version. */
export function statusOf(
  action: UpdateAction | undefined,
  nodes: { readonly all: number; readonly updated: number },
  resourceStatus: string,
): UpdateActionStatus {
  if (action === undefined) return 'not-applied';
  if (nodes.updated === nodes.all && resourceStatus === 'available') return 'complete';
  if (!action.stopped) return 'in-progress';
  return resourceStatus === 'available' ? 'stopped' : 'stopping';
}
