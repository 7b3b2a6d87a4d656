/** The hosts that joined, each with its agent, as the controller that leads has them. */
import { type RemoteHost, type RemoteHostOptions, remoteHost } from './agent/remote-host.ts';

export interface FleetMember {
  readonly name: string;
  /** Of its agent. */
  readonly url: string;
}

export interface Fleet {
  readonly hosts: ReadonlyMap<string, RemoteHost>;
  /** Makes these its members: opens those that are new, closes those that are gone. */
  setMembers(members: readonly FleetMember[]): void;
  /** Calls `listener` when something about a node changed on any host, also on one that joins later. */
  onChange(listener: (nodeId: string) => void): () => void;
  /** Calls `listener` when a host was reached, or can't be any more, or its lease ran out. */
  onState(listener: (host: string) => void): void;
  close(): Promise<void>;
}

export type FleetOptions = Omit<RemoteHostOptions, 'name' | 'url'>;

export function openFleet(options: FleetOptions): Fleet {
  const hosts = new Map<string, RemoteHost>();
  const urls = new Map<string, string>();
  const changeListeners = new Set<(nodeId: string) => void>();
  const stateListeners = new Set<(host: string) => void>();

  function open({ name, url }: FleetMember): void {
    const host = remoteHost({ ...options, name, url });
    hosts.set(name, host);
    urls.set(name, url);
    host.onChange((nodeId) => {
      for (const listener of changeListeners) listener(nodeId);
    });
    host.onState(() => {
      for (const listener of stateListeners) listener(name);
    });
  }

  function shut(name: string): void {
    void hosts.get(name)?.close();
    hosts.delete(name);
    urls.delete(name);
  }

  return {
    hosts,
    setMembers(members) {
      for (const name of [...hosts.keys()]) {
        if (!members.some((member) => member.name === name && member.url === urls.get(name))) shut(name);
      }
      for (const member of members) if (!hosts.has(member.name)) open(member);
    },
    onChange(listener) {
      changeListeners.add(listener);
      return () => changeListeners.delete(listener);
    },
    onState(listener) {
      stateListeners.add(listener);
    },
    async close() {
      for (const name of [...hosts.keys()]) shut(name);
    },
  };
}
