/**
 * An agent's door: HTTPS with certificates on both sides. The control plane may do everything here; another host may only
 * ask for its consent.
 *
 * - `POST /lease` `{ leader, question?, charge? }`: renews the host's lease; tells the next question and facts.
 * - `POST /calls/NAME` `{ leader, args }`: one operation of the host.
 * - `PUT /certificates/NODE`: what a call said it needs.
 * - `POST /consents` `{ group, epoch }`: of another host.
 * - `GET /changes`: a line for each change of a node, as long as both live.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { EpochFence } from '../epoch-fence.ts';
import { NodeUnreachable, StaleOrder } from '../host.ts';
import { encodeReadings } from '../node-reading.ts';
import type { NodeCertificates, ProcessHost } from '../process-host.ts';
import { bodyText } from '../request-body.ts';
import type { Route } from '../router/route-table.ts';
import type { RouterClient } from '../router/router-client.ts';
import { callGate } from './call-gate.ts';
import {
  type CallBody,
  CertificateNeeded,
  errorBody,
  type HostCall,
  type HostFacts,
  type LeaseAnswer,
  type MasterList,
  nodeOrders,
  type PlainCall,
  plainCalls,
  type StoppableCall,
  stoppableCalls,
} from './host-calls.ts';
import type { ChargedGroup, HostLease } from './host-lease.ts';
import type { ConsentQuestion } from './lease.ts';
import type { StandIn } from './stand-in.ts';

export interface AgentServerOptions {
  readonly host: ProcessHost;
  readonly router: Pick<RouterClient, 'put' | 'routes'>;
  /** Missing: clients of Sentinel are not served on this host. */
  readonly sentinel?: Pick<RouterClient, 'putMaster' | 'masters'>;
  readonly fence: EpochFence;
  readonly lease: HostLease;
  readonly certificates: GivenCertificates;
  readonly standIn: StandIn;
  readonly facts: HostFacts;
  readonly tls: { readonly certificatePem: string; readonly keyPem: string; readonly authorityPem: string };
  readonly listen: { readonly address: string; readonly port: number };
}

/** The control plane's name in its certificate. */
export const controllerName = 'controller';
/** What a host's is called there. */
export const hostCertificateName = (host: string): string => `host ${host}`;

const maxBodyBytes = 16 * 2 ** 20;
const heartbeatMs = 1_000;
const requestTimeoutMs = 30_000;
const ordersNode: ReadonlySet<HostCall> = new Set(nodeOrders);
/** Among groups, for the epochs of controllers that lead; no group can be named so. */
const leadership = '#leader';

class Refused extends Error {
  override name = 'Refused';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Resolves when it listens. */
export async function agentServer(options: AgentServerOptions): Promise<{ close(): void }> {
  const { host, router, sentinel, fence, lease, certificates, standIn } = options;
  const { certificatePem, keyPem, authorityPem } = options.tls;
  const gate = callGate();
  let mastersLine: Promise<unknown> = Promise.resolve();
  const server = createServer(
    { cert: certificatePem, key: keyPem, ca: authorityPem, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      answer(request, response).catch((error: Error) => refuse(response, error));
    },
  );
  server.requestTimeout = requestTimeoutMs;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const caller = callerOf(request);
    const { method, url = '' } = request;
    if (method === 'POST' && url === '/consents') {
      if (!caller.startsWith(hostCertificateName(''))) throw new Refused(403, 'Only hosts ask for consent.');
      const question = readQuestion(await bodyOf(request));
      return send(response, { consent: lease.consent(question) });
    }
    if (caller !== controllerName) throw new Refused(403, 'Only the control plane may do that.');
    const call = /^\/calls\/([A-Za-z]+)$/.exec(url)?.[1];
    const node = /^\/certificates\/([A-Za-z0-9.-]+)$/.exec(url)?.[1];
    if (method === 'POST' && url === '/lease') return send(response, renew(await bodyOf(request)));
    if (method === 'GET' && url === '/changes') return streamChanges(response);
    if (method === 'PUT' && node !== undefined) {
      certificates.give(node, (await bodyOf(request)) as GivenCertificate);
      return void response.writeHead(204).end();
    }
    if (method === 'POST' && call !== undefined) {
      const body = (await bodyOf(request)) as CallBody;
      admitLeader(body.leader);
      admitCall(call as HostCall, body);
      return send(response, { result: await run(call as HostCall, body.args, response) });
    }
    throw new Refused(404, 'There is nothing here.');
  }

  function admitLeader(leader: number): void {
    fence.admit({ group: leadership, epoch: leader });
  }

  function admitCall(call: HostCall, { leader, number, args }: CallBody): void {
    if (call === 'observe') gate.looked(leader, number, args[0] as readonly string[]);
    if (!ordersNode.has(call)) return;
    const [subject] = args as readonly [string | { readonly nodeId: string }];
    const nodeId = typeof subject === 'string' ? subject : subject.nodeId;
    if (!gate.admits(leader, number, nodeId)) {
      throw new StaleOrder(
        `The order ${call} for ${nodeId} was overtaken by a look at it; it is decided anew.`,
      );
    }
    // Else a node could be made a primary, or let take writes, that nobody fences when no lease begins.
    if (!lease.serves)
      throw new NodeUnreachable('This host has no lease; its nodes take no orders until it has one.');
  }

  function renew(body: unknown): LeaseAnswer {
    const { leader, question, charge } = body as {
      leader: number;
      question?: string;
      charge?: readonly ChargedGroup[];
    };
    admitLeader(leader);
    if (charge !== undefined) lease.takeCharge(charge);
    return { question: lease.renew(question), facts: options.facts };
  }

  async function run(call: HostCall, args: readonly unknown[], response: ServerResponse): Promise<unknown> {
    switch (call) {
      case 'observe':
        return [...(await host.observe(args[0] as string[])).values()];
      case 'readSettings':
        return [...(await host.readSettings(args[0] as string[]))];
      case 'readings':
        return encodeReadings(await host.readings(args[0] as string[]));
      case 'nodeIds':
        return host.nodeIds();
      case 'standIn':
        return standIn.hold(args[0] as readonly string[]);
      case 'announce':
        return host.announce();
      case 'routes':
        return [...(await router.routes())];
      case 'putRoutes':
        return router.put(args[0] as string, args[1] as number, args[2] as readonly Route[]);
      case 'masters':
        return mastersInTurn(async () => [...(sentinel?.masters() ?? [])]);
      case 'putMasters':
        return mastersInTurn(() => putMasters(args[0] as MasterList));
      default: {
        if (Object.hasOwn(stoppableCalls, call)) {
          // A caller that hangs up does not wait for it any more.
          const stopping = new AbortController();
          response.once('close', () => stopping.abort());
          const operation = host[call as StoppableCall] as (...all: readonly unknown[]) => Promise<unknown>;
          return operation(...args.slice(0, stoppableCalls[call as StoppableCall]), stopping.signal);
        }
        if (!plainCalls.includes(call as PlainCall)) throw new Refused(404, `There is no operation ${call}.`);
        const operation = host[call as PlainCall] as (...all: readonly unknown[]) => Promise<unknown>;
        // An argument that was left out is null in JSON.
        return operation(...args.map((each) => each ?? undefined));
      }
    }
  }

  /** A caller that gave up may have left some at work: what comes after them is to be what stays. */
  function mastersInTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = mastersLine.then(work);
    mastersLine = done.catch(() => {});
    return done;
  }

  /** @returns owners of those that were refused. */
  async function putMasters(entries: MasterList): Promise<string[]> {
    const refused: string[] = [];
    for (const [owner, entry] of entries) {
      await sentinel?.putMaster(owner, entry).catch((error: Error) => {
        if (!(error instanceof StaleOrder)) throw error;
        refused.push(owner);
      });
    }
    return refused;
  }

  function streamChanges(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.flushHeaders();
    const write = (line: string) => response.write(`${line}\n`);
    const stop = host.onChange((nodeId) => write(JSON.stringify(nodeId)));
    const beating = setInterval(() => write(''), heartbeatMs);
    response.once('close', () => {
      stop();
      clearInterval(beating);
    });
  }

  await listening(server, options.listen);
  return {
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function callerOf(request: IncomingMessage): string {
  const { subject } = (request.socket as TLSSocket).getPeerCertificate();
  // A name that is there twice is nobody's.
  return typeof subject?.CN === 'string' ? subject.CN : '';
}

function readQuestion(body: unknown): ConsentQuestion {
  const { group, epoch } = body as Record<string, unknown>;
  if (typeof group !== 'string' || typeof epoch !== 'number') {
    throw new Refused(400, 'A question for consent names a group and its epoch.');
  }
  return { group, epoch };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const tooLong = () => new Refused(413, `A body has at most ${maxBodyBytes} bytes.`);
  const value = JSON.parse(await bodyText(request, maxBodyBytes, tooLong)) as unknown;
  if (typeof value !== 'object' || value === null) throw new Refused(400, 'The body is not an object.');
  return value;
}

function send(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function refuse(response: ServerResponse, error: Error): void {
  if (response.headersSent) return void response.destroy();
  const status = error instanceof Refused ? error.status : error instanceof StaleOrder ? 409 : 500;
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(errorBody(error)));
}

function listening(server: Server, { address, port }: AgentServerOptions['listen']): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

interface GivenCertificate {
  readonly addresses: readonly string[];
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly authorityPem: string;
}

/** An agent has no authority: it uses what it was given, and says what it needs. */
export interface GivenCertificates extends NodeCertificates {
  give(nodeId: string, certificate: GivenCertificate): void;
}

export function givenCertificates(): GivenCertificates {
  const given = new Map<string, GivenCertificate>();
  return {
    give: (nodeId, certificate) => void given.set(nodeId, certificate),
    async issue(nodeId, addresses) {
      const certificate = given.get(nodeId);
      // Used once: one that is asked for again is to be a new one.
      given.delete(nodeId);
      const serves =
        certificate !== undefined && addresses.every((each) => certificate.addresses.includes(each));
      if (!serves) throw new CertificateNeeded(nodeId, addresses);
      return certificate;
    },
  };
}
