/** An agent's door, with real certificates, and a remote host on the other side of it. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { sha256Of, startS3 } from '../../../../testing/s3-server.ts';
import { waitFor } from '../../../../testing/wait-for.ts';
import type { Fleet } from '../fleet.ts';
import { fleetHost } from '../fleet-host.ts';
import { NodeUnreachable, SnapshotDamaged, StaleOrder } from '../host.ts';
import { ObjectStoreRefused } from '../object-store/object-store.ts';
import { type Authority, openAuthority } from '../tls/authority.ts';
import { startAgent } from './agent.ts';
import { AgentSilent, agentClient, type Credentials } from './agent-client.ts';
import { controllerName, hostCertificateName } from './agent-server.ts';
import { machineMs } from './guard.ts';
import { leaseTerms } from './lease.ts';
import type { Membership } from './membership.ts';
import { type RemoteHost, remoteHost } from './remote-host.ts';

let folder: string;
let authority: Authority;
let port: number;
const opened: { close(): unknown }[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'larder-agent-'));
  authority = await openAuthority(join(folder, 'fleet-tls'), Date.now);
});

afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each.close();
});

afterAll(() => rmSync(folder, { recursive: true }));

async function credentials(commonName: string, of: Authority = authority): Promise<Credentials> {
  const { certificatePem, keyPem } = await of.issue({
    commonName,
    addresses: ['127.0.0.1'],
    dnsNames: [],
    lifeMs: 3_600_000,
  });
  return { certificatePem, keyPem, authorityPem: authority.certificatePem };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = probe.address() as { port: number };
      probe.close(() => resolve(free));
    });
  });
}

async function agent(name = 'h1'): Promise<string> {
  port = await freePort();
  const membership: Membership = {
    ...(await credentials(hostCertificateName(name))),
    name,
    zone: 'us-east-1a',
    listen: { address: '127.0.0.1', port },
    addresses: '127.100.0.1-127.100.0.9',
    fleetKey: randomBytes(32),
  };
  opened.push(
    await startAgent({
      directory: join(folder, `agent-${port}`),
      membership,
      findBuild: async () => {
        throw new Error('No engine here.');
      },
      router: { put: async () => {}, routes: async () => new Map() },
      onProblem: (error) => {
        throw error;
      },
      onNotice: () => {},
    }),
  );
  return `https://127.0.0.1:${port}`;
}

async function controller(url: string, leader = 1): Promise<RemoteHost> {
  const host = remoteHost({
    name: 'h1',
    url,
    credentials: await credentials(controllerName),
    certificates: {
      issue: async () => {
        throw new Error('No node here has TLS.');
      },
    },
    leader,
    nowMs: machineMs,
    onNotice: () => {},
  });
  opened.push(host);
  await waitFor(
    () => host.state,
    (state) => state === 'connected',
    { what: 'the host to be connected' },
  );
  return host;
}

const limits = { timeoutMs: 2_000 };

test('a host answers what it has; a node it never had is absent', async () => {
  const host = await controller(await agent());
  expect((await host.observe(['shop-001.0001'])).get('shop-001.0001')?.process).toEqual({ kind: 'absent' });
  expect(await host.nodeIds()).toEqual([]);
  expect(host.facts?.mostConnections).toBeGreaterThan(0);
  await expect(host.command('shop-001.0001', { group: 'shop', epoch: 1 }, [['PING']])).rejects.toThrow(
    NodeUnreachable,
  );
});

test('nobody comes in without a certificate of the fleet', async () => {
  const url = await agent();
  const other = await openAuthority(join(folder, 'other-tls'), Date.now);
  for (const name of [controllerName, hostCertificateName('h2')]) {
    const stranger = agentClient(url, await credentials(name, other));
    opened.push(stranger);
    await expect(stranger.send('POST', '/lease', { leader: 9 }, limits)).rejects.toThrow(AgentSilent);
  }
});

test('another host may ask for consent, and nothing else', async () => {
  const url = await agent();
  const peer = agentClient(url, await credentials(hostCertificateName('h2')));
  const nodeLike = agentClient(url, await credentials('controller.0001'));
  opened.push(peer, nodeLike);
  const question = { group: 'shop', epoch: 1 };
  expect(await peer.send('POST', '/consents', question, limits)).toEqual({ consent: true });
  for (const client of [peer, nodeLike]) {
    for (const path of ['/lease', '/calls/removeNode', '/calls/command']) {
      await expect(client.send('POST', path, { leader: 9, args: [] }, limits)).rejects.toThrow(
        'Only the control plane',
      );
    }
  }
  await expect(nodeLike.send('POST', '/consents', question, limits)).rejects.toThrow('Only hosts');
});

test('a controller of an earlier term is refused, for good', async () => {
  const url = await agent();
  const host = await controller(url, 5);
  const before = agentClient(url, await credentials(controllerName));
  opened.push(before);
  await expect(before.send('POST', '/lease', { leader: 4 }, limits)).rejects.toThrow(StaleOrder);
  await expect(before.send('POST', '/calls/removeNode', { leader: 4, args: ['x'] }, limits)).rejects.toThrow(
    StaleOrder,
  );
  expect(host.state).toBe('connected');
});

test('what was promised to another host is kept: no order of a later epoch meanwhile', async () => {
  const url = await agent();
  const peer = agentClient(url, await credentials(hostCertificateName('h2')));
  opened.push(peer);
  expect(await peer.send('POST', '/consents', { group: 'shop', epoch: 3 }, limits)).toEqual({
    consent: true,
  });
  const host = await controller(url);
  await expect(host.stopNode('shop-001.0001', { group: 'shop', epoch: 4 })).rejects.toThrow(
    'as it was promised',
  );
  await host.stopNode('shop-001.0001', { group: 'other', epoch: 4 });
  // A host that hears a controller consents to nothing.
  await waitFor(
    () => peer.send('POST', '/consents', { group: 'other', epoch: 9 }, limits),
    (answer) => JSON.stringify(answer) === '{"consent":false}',
    { what: 'the consent to be refused' },
  );
  await waitFor(
    () =>
      host.stopNode('shop-001.0001', { group: 'shop', epoch: 4 }).then(
        () => 'done',
        (error: Error) => error.message,
      ),
    (answer) => answer === 'done',
    { what: 'the promise to end', limitMs: leaseTerms.consentMs + 5_000 },
  );
});

test('a host that is gone is unreachable first, and fenced when its lease has run out', async () => {
  const url = await agent();
  const host = await controller(url);
  const states: string[] = [];
  host.onState(() => states.push(host.state));
  await opened.shift()!.close();
  await waitFor(
    () => host.state,
    (state) => state === 'fenced',
    { what: 'the lease to run out' },
  );
  expect(states.filter((state) => state !== 'connected')).toEqual(['unreachable', 'fenced']);
  expect((await host.observe(['a'])).get('a')?.process).toEqual({ kind: 'fenced', host: 'h1' });
  await expect(host.removeNode('a')).rejects.toThrow(NodeUnreachable);
});

test('a host uploads the files it has, and says by the kind of error why it does not', async () => {
  const s3 = await startS3();
  opened.push(s3);
  await s3.makeBucket('backups');
  const remote = await controller(await agent());
  const host = fleetHost({ hosts: new Map([['h1', remote]]), onChange: () => () => {} } as unknown as Fleet, {
    hostOfNode: () => 'h1',
  });
  const data = randomBytes(10_000);
  const snapshots = join(folder, `agent-${port}`, 'snapshots');
  mkdirSync(join(snapshots, 'kept'));
  writeFileSync(join(snapshots, 'kept', '0001.rdb'), data);
  const file = { snapshot: 'kept', shard: '0001', sealed: false };
  const saved = { sizeBytes: data.length, sha256: sha256Of(data) };
  const to = { bucket: 'backups', key: 'out-0001.rdb' };
  await host.exportSnapshot(file, saved, to, s3.access);
  expect(sha256Of(await s3.read('backups', to.key))).toBe(saved.sha256);
  await host.abandonExport(to, s3.access);
  const thrown = (work: Promise<unknown>) => work.catch((error: Error) => error);
  expect(await thrown(host.exportSnapshot({ ...file, shard: '0002' }, saved, to, s3.access))).toBeInstanceOf(
    SnapshotDamaged,
  );
  s3.fault = () => ({ kind: 'answer', status: 403, code: 'AccessDenied' });
  expect(await thrown(host.exportSnapshot(file, saved, to, s3.access))).toBeInstanceOf(ObjectStoreRefused);
});
