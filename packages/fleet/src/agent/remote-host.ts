/**
 * A host elsewhere, as the control plane has it: its operations go to its agent, its lease is renewed, and what is known
 * of it when it can't be asked is told as it is.
 */
import { join } from 'node:path';
import { certificateFiles } from '@larder/engine/config-file';
import { type CertificatePaths, type Host, type NodeObservation, NodeUnreachable } from '../host.ts';
import { decodeReadings, type ReadingsOnWire } from '../node-reading.ts';
import { longestTransferMs } from '../object-store/object-store.ts';
import type { NodeCertificates } from '../process-host.ts';
import { type Route, type RouteTable, readRouteTable } from '../router/route-table.ts';
import { type MasterEntry, readMasterEntry } from '../router/sentinel/masters.ts';
import { type AgentClient, AgentSilent, agentClient, type Credentials } from './agent-client.ts';
import {
  type CallBody,
  CertificateNeeded,
  type HostCall,
  type HostFacts,
  type LeaseAnswer,
  type MasterList,
  type ObserveResult,
  type PlainCall,
  plainCalls,
  type SettingsResult,
  type StoppableCall,
  stoppableCalls,
} from './host-calls.ts';
import type { ChargedGroup } from './host-lease.ts';
import { leaseGrantor, leaseTerms } from './lease.ts';

/** `fenced`: it can't be asked, and its lease has run out, so its primaries take no writes. */
export type HostState = 'connected' | 'unreachable' | 'fenced';

export interface RemoteHost extends Host {
  readonly state: HostState;
  /** Undefined until it was reached once. */
  readonly facts: HostFacts | undefined;
  /** What it has of which groups; told with the next renewal. */
  setCharge(groups: readonly ChargedGroup[]): void;
  /** Calls `listener` after every change of the state. */
  onState(listener: () => void): void;
  /** Has it hold just these addresses of lost hosts' nodes, where nobody listens. */
  standIn(addresses: readonly string[]): Promise<void>;
  /** Has it tell its network anew which addresses are there. */
  announce(): Promise<void>;
  /** Nodes that have a folder there, running or not. */
  nodeIds(): Promise<readonly string[]>;
  routes(): Promise<ReadonlyMap<string, RouteTable>>;
  putRoutes(owner: string, epoch: number, routes: readonly Route[]): Promise<void>;
  /** What clients of Sentinel are told there. */
  masters(): Promise<ReadonlyMap<string, MasterEntry>>;
  /** @returns owners of those that were refused, since it was told newer ones before. */
  putMasters(entries: MasterList): Promise<readonly string[]>;
}

export interface RemoteHostOptions {
  readonly name: string;
  /** Of its agent. */
  readonly url: string;
  readonly credentials: Credentials;
  readonly certificates: NodeCertificates;
  /** Of the controller that leads. */
  readonly leader: number;
  /** Monotonic. */
  readonly nowMs: () => number;
  readonly onNotice: (text: string) => void;
}

const renewalLimitMs = 900;
const observeLimitMs = 900;
const callLimitMs = 5_000;
/** For calls that wait for a process, or for much data. */
const callLimitsMs: Partial<Record<HostCall, number>> = {
  startNode: 30_000,
  stopNode: 20_000,
  killNode: 60_000,
  removeNode: 20_000,
  moveKeys: 60_000,
  saveSnapshot: 30 * 60_000,
  copySnapshot: 10 * 60_000,
  exportSnapshot: longestTransferMs + 60_000,
  abandonExport: 30_000,
  // With the checks that follow.
  importSnapshot: longestTransferMs + 20 * 60_000,
  rehearseSnapshot: 30 * 60_000,
};
const silenceMs = 3_000;
const reconnectMs = 100;

/** Begins to renew its lease. Nothing is waited for: until it was reached the host is `unreachable`. */
export function remoteHost(options: RemoteHostOptions): RemoteHost {
  const { name, nowMs } = options;
  const client: AgentClient = agentClient(options.url, options.credentials);
  const grantor = leaseGrantor(leaseTerms, nowMs());
  const changeListeners = new Set<(nodeId: string) => void>();
  const stateListeners = new Set<() => void>();
  let state: HostState = 'unreachable';
  let facts: HostFacts | undefined;
  let question: { readonly text: string; readonly atMs: number } | undefined;
  let charge: readonly ChargedGroup[] | undefined;
  let chargeTold: string | undefined;
  let streaming = false;
  let renewing = false;
  let closed = false;
  let calls = 0;
  let expiry: NodeJS.Timeout | undefined;

  function become(next: HostState): void {
    if (state === next || closed) return;
    state = next;
    options.onNotice(`Host ${name} is ${next}.`);
    for (const listener of stateListeners) listener();
  }

  async function renew(): Promise<void> {
    if (renewing || closed) return;
    renewing = true;
    const told = JSON.stringify(charge);
    const first = question === undefined;
    if (question !== undefined) grantor.granting(question.atMs);
    try {
      const answer = (await client.send(
        'POST',
        '/lease',
        {
          leader: options.leader,
          ...(question !== undefined && { question: question.text }),
          ...(charge !== undefined && told !== chargeTold && { charge }),
        },
        { timeoutMs: renewalLimitMs },
      )) as LeaseAnswer;
      chargeTold = told;
      question = { text: answer.question, atMs: nowMs() };
      facts = answer.facts;
      become('connected');
      void follow();
    } catch (error) {
      // It may have been restarted, and then knows neither the question nor the charge.
      question = undefined;
      chargeTold = undefined;
      if (state === 'connected') become('unreachable');
      if (!(error instanceof AgentSilent)) options.onNotice(`Host ${name}: ${(error as Error).message}`);
    } finally {
      renewing = false;
      watchExpiry();
      // What came back is a question: until it is answered the host has no lease.
      if (first && question !== undefined) void renew();
    }
  }

  function watchExpiry(): void {
    clearTimeout(expiry);
    if (closed || state !== 'unreachable') return;
    expiry = setTimeout(
      () => {
        if (state !== 'unreachable') return;
        if (grantor.expired(nowMs())) become('fenced');
        else watchExpiry();
      },
      Math.max(1, grantor.expiresAtMs - nowMs()),
    );
  }

  /** Hears of changes for as long as the agent answers; one that was missed is made good by the listeners of the state. */
  async function follow(): Promise<void> {
    if (streaming || closed) return;
    streaming = true;
    for (const listener of stateListeners) listener();
    await client.stream('/changes', (line) => notify(JSON.parse(line) as string), silenceMs);
    setTimeout(() => {
      streaming = false;
    }, reconnectMs);
    // A broken stream is often the first sign that the agent is gone.
    void renew();
  }

  function notify(nodeId: string): void {
    for (const listener of changeListeners) listener(nodeId);
  }

  async function call(what: HostCall, args: readonly unknown[], signal?: AbortSignal): Promise<unknown> {
    if (state !== 'connected') throw new NodeUnreachable(`Host ${name} is ${state}.`);
    const timeoutMs = callLimitsMs[what] ?? callLimitMs;
    const send = () =>
      client.send('POST', `/calls/${what}`, bodyOf(args), {
        timeoutMs,
        ...(signal && { signal }),
      });
    const answer = await send()
      .catch(async (error: Error) => {
        if (!(error instanceof CertificateNeeded)) throw error;
        const { nodeId, addresses } = error;
        const certificate = await options.certificates.issue(nodeId, addresses);
        await client.send(
          'PUT',
          `/certificates/${nodeId}`,
          { addresses, ...certificate },
          { timeoutMs: callLimitMs },
        );
        return send();
      })
      .catch((error: Error) => {
        throw error instanceof AgentSilent ? new NodeUnreachable(error.message, { cause: error }) : error;
      });
    return (answer as { result?: unknown }).result;
  }

  /** Numbered when it is sent: by the clock, so that one of an earlier object for this host is lower. */
  function bodyOf(args: readonly unknown[]): CallBody {
    calls = Math.max(calls + 1, Math.floor(nowMs() * 1_000));
    return { leader: options.leader, number: calls, args };
  }

  function unknown(nodeId: string): NodeObservation {
    return { nodeId, process: { kind: state === 'fenced' ? 'fenced' : 'unreachable', host: name } };
  }

  const renewTimer = setInterval(() => void renew(), leaseTerms.renewEveryMs);
  void renew();
  watchExpiry();

  const plain = Object.fromEntries(
    plainCalls.map((each) => [each, (...args: unknown[]) => call(each, args)]),
  ) as Pick<Host, PlainCall>;

  const stoppable = Object.fromEntries(
    Object.entries(stoppableCalls).map(([each, before]) => [
      each,
      (...args: unknown[]) =>
        call(each as StoppableCall, args.slice(0, before), args[before] as AbortSignal | undefined),
    ]),
  ) as unknown as Pick<Host, StoppableCall>;

  return {
    ...plain,
    ...stoppable,
    id: name,
    get state() {
      return state;
    },
    get facts() {
      return facts;
    },
    get mostConnections() {
      return facts?.mostConnections ?? Number.MAX_SAFE_INTEGER;
    },
    setCharge(groups) {
      charge = groups;
    },
    onState(listener) {
      stateListeners.add(listener);
    },
    async observe(nodeIds) {
      if (state !== 'connected') return new Map(nodeIds.map((id) => [id, unknown(id)]));
      try {
        const answer = (await client.send('POST', '/calls/observe', bodyOf([nodeIds]), {
          timeoutMs: observeLimitMs,
        })) as { result: ObserveResult };
        return new Map(answer.result.map((each) => [each.nodeId, each]));
      } catch (error) {
        if (!(error instanceof AgentSilent)) throw error;
        return new Map(
          nodeIds.map((id) => [id, { nodeId: id, process: { kind: 'unreachable', host: name } }]),
        );
      }
    },
    async readSettings(nodeIds) {
      if (state !== 'connected') return new Map();
      return new Map((await call('readSettings', [nodeIds])) as SettingsResult);
    },
    async readings(nodeIds) {
      if (state !== 'connected') return new Map();
      try {
        const answer = (await client.send('POST', '/calls/readings', bodyOf([nodeIds]), {
          timeoutMs: observeLimitMs,
        })) as { result: ReadingsOnWire };
        return decodeReadings(answer.result);
      } catch {
        // Nothing hangs on them: what an agent of an older version can't tell must not keep others' from being known.
        return new Map();
      }
    },
    async standIn(addresses) {
      await call('standIn', [addresses]);
    },
    async announce() {
      await call('announce', []);
    },
    nodeIds: async () => (await call('nodeIds', [])) as readonly string[],
    async routes() {
      const tables = (await call('routes', [])) as readonly (readonly [string, unknown])[];
      return new Map(tables.map(([owner, table]) => [owner, readRouteTable(table)]));
    },
    async putRoutes(owner, epoch, routes) {
      await call('putRoutes', [owner, epoch, routes]);
    },
    async masters() {
      const entries = (await call('masters', [])) as readonly (readonly [string, unknown])[];
      return new Map(entries.map(([owner, entry]) => [owner, readMasterEntry(entry)]));
    },
    putMasters: async (entries) => (await call('putMasters', [entries])) as readonly string[],
    certificateFiles(nodeId): CertificatePaths {
      if (facts === undefined) throw new NodeUnreachable(`Host ${name} was not reached yet.`);
      const file = (part: keyof typeof certificateFiles) =>
        join(facts!.nodesDirectory, nodeId, certificateFiles[part]);
      return { certificateFile: file('certificate'), keyFile: file('key'), authorityFile: file('authority') };
    },
    isAddressFree: async () => true,
    onChange(listener) {
      changeListeners.add(listener);
      return () => changeListeners.delete(listener);
    },
    async close() {
      closed = true;
      clearInterval(renewTimer);
      clearTimeout(expiry);
      client.close();
    },
  };
}
