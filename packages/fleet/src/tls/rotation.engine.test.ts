/**
 * What engines do with our certificates, and how a new one is put in place. Valkey and Redis take it by one
 * `CONFIG SET tls-cert-file … tls-key-file …` with the files' new names; with the names they have it is the same
 * command, and they read the files again. Memcached has the names from its start only and reads the files again by
 * `refresh_certs`.
 */
import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import type { EngineName } from '@larder/engine/engine';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { waitFor } from '../../../../testing/wait-for.ts';
import { type Authority, openAuthority } from './authority.ts';

const tlsPort = 6390;
/** Memcached must have its certificate before its test learns its address. */
const serverName = 'node.larder.test';
let directory: string;
let authority: Authority;
const engines: TestEngine[] = [];
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'larder-rotation-'));
  // Memcached gives up root after its start, and reads renewed files as somebody else.
  chmodSync(directory, 0o755);
  authority = await openAuthority(join(directory, 'tls'), Date.now);
});
afterAll(async () => {
  await Promise.all(engines.map((engine) => engine.stop()));
  rmSync(directory, { recursive: true, force: true });
});

/** Writes a new certificate and key; returns their files and the certificate's serial number. */
async function issue(name: string, address: string) {
  const folder = join(directory, name);
  mkdirSync(folder, { recursive: true });
  const { certificatePem, keyPem } = await authority.issue({
    commonName: name,
    addresses: [address],
    dnsNames: [serverName],
    lifeMs: 60 * 60_000,
  });
  const [certFile, keyFile] = [join(folder, 'node.pem'), join(folder, 'node.key')];
  writeFileSync(certFile, certificatePem);
  writeFileSync(keyFile, keyPem);
  return { certFile, keyFile, serial: new X509Certificate(certificatePem).serialNumber };
}

function open(host: string, port: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, ca: authority.certificatePem, servername: serverName }, () =>
      resolve(socket),
    );
    socket.once('error', reject);
  });
}

async function serialSeen(host: string, port: number): Promise<string> {
  const socket = await open(host, port);
  const serial = socket.getPeerCertificate().serialNumber;
  socket.destroy();
  return serial;
}

/** Asks again and again on one connection, each time as soon as it was answered. */
async function pinging(host: string, port: number, question: string) {
  const socket = await open(host, port);
  let answers = 0;
  let ended = false;
  socket.on('data', () => {
    answers += 1;
    socket.write(question);
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    ended = true;
  });
  socket.write(question);
  return {
    /** Resolves after some more answers. @throws when the connection was cut. */
    async goesOn() {
      const from = answers;
      await waitFor(
        () => {
          if (ended) throw new Error('The connection was cut.');
          return answers;
        },
        (seen) => seen > from + 20,
        { what: 'more answers', everyMs: 1, limitMs: 5_000 },
      );
    },
    end: () => socket.destroy(),
  };
}

/** Protected mode knows one loopback address only, and the default delay of a transfer is five seconds. */
const quick = ['--protected-mode', 'no', '--repl-diskless-sync-delay', '0'];

describe.each<EngineName>(['valkey', 'redis'])('%s', (name) => {
  test('serves plain and TLS, and takes a new certificate without dropping a connection', async () => {
    // TLS is turned on at run time, as ModifyReplicationGroup does.
    const engine = await startEngine(name);
    engines.push(engine);
    const first = await issue(`${name}-1`, engine.host);
    const admin = new Redis({ host: engine.host, port: engine.port });
    const caFile = join(directory, 'tls/ca.pem');
    try {
      await admin.config('SET', 'tls-ca-cert-file', caFile);
      // Certificate and key in one command: alone, either would not fit the other.
      const names = ['tls-cert-file', first.certFile, 'tls-key-file', first.keyFile] as const;
      await admin.call('CONFIG', 'SET', 'tls-auth-clients', 'no', ...names, 'tls-port', String(tlsPort));
      expect(await serialSeen(engine.host, tlsPort)).toBe(first.serial);
      const client = await pinging(engine.host, tlsPort, 'PING\r\n');
      const library = new Redis({
        host: engine.host,
        port: tlsPort,
        // By its address, as clients come.
        tls: { ca: authority.certificatePem },
        retryStrategy: null,
      });
      expect(await library.ping()).toBe('PONG');
      await client.goesOn();

      const second = await issue(`${name}-2`, engine.host);
      await admin.call('CONFIG', 'SET', 'tls-cert-file', second.certFile, 'tls-key-file', second.keyFile);
      expect(await serialSeen(engine.host, tlsPort)).toBe(second.serial);
      await client.goesOn();

      const third = await issue(`${name}-2`, engine.host);
      expect(third.certFile).toBe(second.certFile);
      expect(await serialSeen(engine.host, tlsPort)).toBe(second.serial);
      await admin.call('CONFIG', 'SET', 'tls-cert-file', third.certFile, 'tls-key-file', third.keyFile);
      expect(await serialSeen(engine.host, tlsPort)).toBe(third.serial);
      await client.goesOn();
      expect(await library.ping()).toBe('PONG');

      // One of the two alone is refused, and what was there serves on.
      const fourth = await issue(`${name}-4`, engine.host);
      await expect(admin.config('SET', 'tls-cert-file', fourth.certFile)).rejects.toThrow(/Unable to/);
      expect(await serialSeen(engine.host, tlsPort)).toBe(third.serial);
      await client.goesOn();
      client.end();
      library.disconnect();
    } finally {
      admin.disconnect();
    }
  });

  test('replicates by TLS with both sides’ certificates checked', async () => {
    const [primary, replica] = await Promise.all([startEngine(name, quick), startEngine(name, quick)]);
    engines.push(primary!, replica!);
    const [source, copy] = [primary!, replica!].map(({ host, port }) => new Redis({ host, port }));
    try {
      for (const [client, engine] of [
        [source!, primary!],
        [copy!, replica!],
      ] as const) {
        const { certFile, keyFile } = await issue(`${name}-${engine.host}`, engine.host);
        await client.config('SET', 'tls-ca-cert-file', join(directory, 'tls/ca.pem'));
        await client.call(
          ...(['CONFIG', 'SET', 'tls-auth-clients', 'yes', 'tls-replication', 'yes'] as const),
          ...(['tls-cert-file', certFile, 'tls-key-file', keyFile, 'tls-port', String(tlsPort)] as const),
        );
      }
      await source!.set('key', 'value');
      await copy!.replicaof(primary!.host, tlsPort);
      await waitFor(
        () => copy!.get('key'),
        (value) => value === 'value',
        { what: 'the replica to have it' },
      );
    } finally {
      source!.disconnect();
      copy!.disconnect();
    }
  });
});

test('memcached takes a new certificate by refresh_certs without dropping a connection', async () => {
  const first = await issue('memcached', '127.0.0.1');
  const engine = await startEngine('memcached', [
    ...['-Z', '-o', `ssl_chain_cert=${first.certFile},ssl_key=${first.keyFile}`],
  ]);
  engines.push(engine);
  expect(await serialSeen(engine.host, engine.port)).toBe(first.serial);
  const client = await pinging(engine.host, engine.port, 'version\r\n');
  await client.goesOn();

  const second = await issue('memcached', '127.0.0.1');
  expect(await serialSeen(engine.host, engine.port)).toBe(first.serial);
  const admin = await open(engine.host, engine.port);
  const answer = new Promise<string>((resolve) => admin.once('data', (data) => resolve(data.toString())));
  admin.write('refresh_certs\r\n');
  expect(await answer).toBe('OK\r\n');
  expect(await serialSeen(engine.host, engine.port)).toBe(second.serial);
  await client.goesOn();
  client.end();
  admin.destroy();
});
