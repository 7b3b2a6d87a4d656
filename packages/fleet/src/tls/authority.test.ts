import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AuthorityBroken, openAuthority } from './authority.ts';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const hourMs = 60 * 60_000;
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'larder-authority-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const open = (name: string) => openAuthority(join(directory, name), Date.now);
const request = {
  commonName: 'shop-001',
  addresses: ['127.0.0.1'],
  dnsNames: ['shop.example'],
  lifeMs: hourMs,
};

test('is made once, for its owner alone, and found again', async () => {
  const first = await open('once');
  const again = await open('once');
  expect(again.certificatePem).toBe(first.certificatePem);
  expect(statSync(join(directory, 'once/ca.key')).mode & 0o777).toBe(0o600);
  const certificate = new X509Certificate(first.certificatePem);
  expect(certificate.ca).toBe(true);
  const years = (Date.parse(certificate.validTo) - Date.now()) / (365 * 24 * hourMs);
  expect(years).toBeCloseTo(10, 1);
});

test('openings at the same time get the same, and leave nothing else', async () => {
  const all = await Promise.all(Array.from({ length: 8 }, () => open('race')));
  expect(new Set(all.map(({ certificatePem }) => certificatePem)).size).toBe(1);
  expect(readdirSync(join(directory, 'race')).sort()).toEqual(['ca.key', 'ca.pem']);
});

test('a crash between its two files is made good with the same key', async () => {
  await open('crash');
  const key = readFileSync(join(directory, 'crash/ca.key'), 'utf8');
  rmSync(join(directory, 'crash/ca.pem'));
  const authority = await open('crash');
  expect(readFileSync(join(directory, 'crash/ca.key'), 'utf8')).toBe(key);
  const { certificatePem } = await authority.issue(request);
  expect(new X509Certificate(certificatePem).checkIssued(new X509Certificate(authority.certificatePem))).toBe(
    true,
  );
});

test.each([
  ['another authority’s certificate', 'ca.pem', () => readFileSync(join(directory, 'other/ca.pem'), 'utf8')],
  ['no certificate', 'ca.pem', () => 'nonsense'],
  ['no key', 'ca.key', () => 'nonsense'],
  ['a key of nothing', 'ca.key', () => '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'],
])('%s beside the rest is refused', async (name, file, text) => {
  await open('other');
  await open(name);
  writeFileSync(join(directory, name, file), text());
  await expect(open(name)).rejects.toThrow(AuthorityBroken);
});

test('an issued certificate says what was asked, is backdated and has a key of its own', async () => {
  const authority = await open('issue');
  const one = await authority.issue(request);
  const two = await authority.issue({ ...request, lifeMs: 20 * 365 * 24 * hourMs });
  const certificate = new X509Certificate(one.certificatePem);
  expect(certificate.subject).toBe('CN=shop-001');
  expect(certificate.subjectAltName).toBe('IP Address:127.0.0.1, DNS:shop.example');
  expect(certificate.ca).toBe(false);
  expect(Date.parse(certificate.validFrom)).toBeLessThanOrEqual(Date.now() - 4 * 60_000);
  expect(Math.abs(Date.parse(certificate.validTo) - one.notAfter.getTime())).toBeLessThan(1_000);
  expect(one.keyPem).not.toBe(two.keyPem);
  expect(one.certificatePem.match(/BEGIN CERTIFICATE/g)).toHaveLength(1);
  // Never longer than what signed it.
  expect(two.notAfter.getTime()).toBe(Date.parse(new X509Certificate(authority.certificatePem).validTo));
});

test.skipIf(!hasOpenssl)(
  'openssl finds the chain good for servers and for clients, and another authority’s not',
  async () => {
    const [authority, other] = [await open('openssl'), await open('openssl-other')];
    const leaf = join(directory, 'leaf.pem');
    writeFileSync(leaf, (await authority.issue(request)).certificatePem);
    const verify = (caDirectory: string, purpose: string) =>
      execFileSync(
        'openssl',
        [
          'verify',
          '-x509_strict',
          '-purpose',
          purpose,
          '-CAfile',
          join(directory, caDirectory, 'ca.pem'),
          leaf,
        ],
        { encoding: 'utf8', stdio: 'pipe' },
      );
    for (const purpose of ['sslserver', 'sslclient']) expect(verify('openssl', purpose)).toContain('OK');
    expect(other.certificatePem).not.toBe(authority.certificatePem);
    expect(() => verify('openssl-other', 'sslserver')).toThrow('verification failed');
  },
);

test('Node’s TLS accepts it both ways, by address and by name, and no other name', async () => {
  const authority = await open('tls');
  const { certificatePem: cert, keyPem: key } = await authority.issue(request);
  const ca = authority.certificatePem;
  const server = createServer({ cert, key, ca, requestCert: true, rejectUnauthorized: true }, (socket) =>
    socket.end('served'),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address() as { port: number };
  const ask = (servername?: string) =>
    new Promise<string>((resolve, reject) => {
      const options = {
        host: '127.0.0.1',
        port: address.port,
        cert,
        key,
        ca,
        ...(servername && { servername }),
      };
      const socket = connect(options);
      socket.once('error', reject);
      socket.once('data', (data) => resolve(data.toString()));
    });
  try {
    await expect(ask()).resolves.toBe('served');
    await expect(ask('shop.example')).resolves.toBe('served');
    await expect(ask('other.example')).rejects.toThrow('does not match');
  } finally {
    server.close();
  }
});
