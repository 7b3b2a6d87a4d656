/**
 * What clients of Sentinel are told, on every host alike: any of them answers for all groups. Each host has a line of its
 * own, so one that is slow or away holds up none of the others; one that comes back is asked what it has, and told the rest.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { RemoteHost } from './agent/remote-host.ts';
import type { Fleet } from './fleet.ts';
import type { RouterClient } from './router/router-client.ts';
import type { MasterEntry } from './router/sentinel/masters.ts';

export interface FleetSentinelOptions {
  readonly fleet: Pick<Fleet, 'hosts' | 'onState'>;
  /** Ids of all groups there are: a host may know of one that ended while it was away. */
  readonly groups: () => Promise<readonly string[]>;
  readonly onProblem: (host: string, error: Error) => void;
}

/** At most so many in one call. */
const entriesAtOnce = 50;
const retryEveryMs = 1_000;

/** `putMaster` returns at once; a host that can't be told now is told as soon as it can be. */
export function fleetSentinel({
  fleet,
  groups,
  onProblem,
}: FleetSentinelOptions): Pick<RouterClient, 'putMaster' | 'masters'> {
  const wanted = new Map<string, MasterEntry>();
  const lines = new Map<string, HostLine>();

  function lineOf(name: string): HostLine {
    const line = lines.get(name) ?? { looks: 0, working: false };
    lines.set(name, line);
    return line;
  }

  async function work(name: string): Promise<void> {
    const line = lineOf(name);
    if (line.working) return;
    line.working = true;
    try {
      for (;;) {
        const host = fleet.hosts.get(name);
        if (host?.state !== 'connected') return;
        const done = await tellNext(host, line).catch((error: Error) => {
          onProblem(name, error);
          // Some of it may have been heard.
          delete line.has;
          return undefined;
        });
        if (done === true) return;
        if (done === undefined) await sleep(retryEveryMs, undefined, { ref: false });
      }
    } finally {
      line.working = false;
    }
  }

  /** @returns whether the host has everything now. */
  async function tellNext(host: RemoteHost, line: HostLine): Promise<boolean> {
    const { looks } = line;
    const has = line.has ?? (await lookAt(host));
    // What it has may be another thing since it was away.
    if (line.looks !== looks) return false;
    line.has = has;
    const missing = [...wanted].filter(([owner, entry]) => !isDeepStrictEqual(has.get(owner), entry));
    if (missing.length === 0) return true;
    const some = missing.slice(0, entriesAtOnce);
    const refused = await host.putMasters(some);
    for (const [owner, entry] of some) has.set(owner, entry);
    if (refused.length > 0) {
      onProblem(host.id, new Error(`It was told newer things before of ${refused.join(', ')}.`));
    }
    return false;
  }

  async function lookAt(host: RemoteHost): Promise<Map<string, MasterEntry>> {
    const has = new Map(await host.masters());
    const unknown = [...has].filter(
      ([owner, { master, names }]) => (master !== undefined || names !== undefined) && !wanted.has(owner),
    );
    if (unknown.length === 0) return has;
    const there = new Set(await groups());
    for (const [owner, { epoch }] of unknown) {
      if (!there.has(owner) && !wanted.has(owner)) wanted.set(owner, { epoch });
    }
    return has;
  }

  fleet.onState((name) => {
    const line = lineOf(name);
    line.looks += 1;
    delete line.has;
    void work(name);
  });

  return {
    async putMaster(owner, entry) {
      wanted.set(owner, entry);
      for (const name of fleet.hosts.keys()) void work(name);
    },
    masters() {
      const all = new Map<string, MasterEntry>();
      for (const name of fleet.hosts.keys()) {
        for (const [owner, entry] of lines.get(name)?.has ?? []) {
          if (entry.epoch >= (all.get(owner)?.epoch ?? 0)) all.set(owner, entry);
        }
      }
      return new Map([...all, ...wanted]);
    },
  };
}

interface HostLine {
  /** What it was seen to have, and was told since; undefined: it must be asked. */
  has?: Map<string, MasterEntry>;
  /** Rises when it may have changed. */
  looks: number;
  working: boolean;
}
