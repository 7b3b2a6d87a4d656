/** A node's certificate is good for all that clients may have come by: addresses, and endpoints that are names. */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAuthority } from '@larder/fleet/tls/authority';
import { afterAll, expect, test } from 'vitest';
import { nodeCertificates } from './node-certificates.ts';

const folder = mkdtempSync(join(tmpdir(), 'larder-certificates-'));

afterAll(() => rmSync(folder, { recursive: true }));

test('addresses and names are both in it, each as what it is', async () => {
  const certificates = nodeCertificates(await openAuthority(folder, Date.now));
  const { certificatePem } = await certificates.issue('shop-001.0001', [
    '10.0.1.1',
    'primary.shop.cache.example',
    'reader.shop.cache.example',
  ]);
  const certificate = new X509Certificate(certificatePem);
  expect(certificate.checkIP('10.0.1.1')).toBe('10.0.1.1');
  expect(certificate.checkHost('primary.shop.cache.example')).toBeDefined();
  expect(certificate.checkHost('reader.shop.cache.example')).toBeDefined();
  expect(certificate.checkHost('primary.stock.cache.example')).toBeUndefined();
});
