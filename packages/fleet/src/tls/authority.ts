/**
 * The service's own certificate authority: what makes certificates that its engines and its router show, and the one
 * certificate that clients must trust.
 */
import 'reflect-metadata';
import { createHash, randomBytes, webcrypto } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const;
const authorityLifeMs = 10 * 365 * 24 * 60 * 60_000;
/** For clients whose clock is behind ours. */
const backdatedMs = 5 * 60_000;

export interface CertificateRequest {
  /** For people who read it; clients look at the addresses and names. */
  readonly commonName: string;
  readonly addresses: readonly string[];
  readonly dnsNames: readonly string[];
  /** Cut to the authority's own end. */
  readonly lifeMs: number;
}

export interface IssuedCertificate {
  /** The leaf alone: every client has the authority's. */
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly notAfter: Date;
}

export interface Authority {
  /** What clients trust. */
  readonly certificatePem: string;
  /** A new key and its certificate, for a server that is also a client: engines use it both ways when they replicate. */
  issue(request: CertificateRequest): Promise<IssuedCertificate>;
  /**
   * A certificate for a key that never leaves who has it. What the signing request says besides the key is not heeded.
   * @param signingRequestPem PKCS #10. @throws SigningRequestInvalid
   */
  certify(signingRequestPem: string, request: CertificateRequest): Promise<string>;
}

export class SigningRequestInvalid extends Error {
  override name = 'SigningRequestInvalid';
}

/** A key and what asks an authority to certify it. */
export async function signingRequest(
  commonName: string,
): Promise<{ readonly keyPem: string; readonly signingRequestPem: string }> {
  const keys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
  const asked = await Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [commonName] }],
    keys,
    signingAlgorithm,
  });
  return { keyPem: await exportKeyPem(keys.privateKey), signingRequestPem: `${asked.toString('pem')}\n` };
}

/** What the certificate's bytes hash to, by which who was told it knows the authority again. */
export function fingerprint(certificatePem: string): string {
  return createHash('sha256')
    .update(Buffer.from(new X509Certificate(certificatePem).rawData))
    .digest('hex');
}

async function readSigningRequest(text: string): Promise<Pkcs10CertificateRequest> {
  const refused = (cause?: unknown) =>
    new SigningRequestInvalid(
      'The signing request is not in PEM form, of another kind of key, or not signed with it.',
      { cause },
    );
  let asked: Pkcs10CertificateRequest;
  try {
    asked = new Pkcs10CertificateRequest(text);
    if (!(await asked.verify())) throw refused();
  } catch (error) {
    throw refused(error);
  }
  return asked;
}

export class AuthorityBroken extends Error {
  override name = 'AuthorityBroken';
}

/**
 * Opens the authority in `directory`: `ca.pem`, and `ca.key` with mode 0600. Makes it when there is none; two that
 * open it at once get the same, and so does who comes after a crash in between.
 * @throws AuthorityBroken when the files are there and don't make an authority.
 */
export async function openAuthority(directory: string, nowMs: () => number): Promise<Authority> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const keyFile = join(directory, 'ca.key');
  const certificateFile = join(directory, 'ca.pem');
  const keyPem = await readOrMake(keyFile, makeKeyPem);
  const keys = await importKeyPair(keyPem).catch((error: Error) => {
    throw new AuthorityBroken(
      `${keyFile} holds no key. Restore it, or remove ${directory} and give clients the new ca.pem.`,
      { cause: error },
    );
  });
  const certificatePem = await readOrMake(certificateFile, () => makeAuthorityPem(keys, nowMs()));
  const certificate = await readCertificate(certificatePem, keys).catch((error: Error) => {
    throw new AuthorityBroken(
      `${certificateFile} is no certificate of ${keyFile}. Restore them together, or remove both and give clients the new ca.pem.`,
      { cause: error },
    );
  });
  async function sign(
    publicKey: webcrypto.CryptoKey,
    { commonName, addresses, dnsNames, lifeMs }: CertificateRequest,
  ): Promise<X509Certificate> {
    return X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      issuer: certificate.subjectName,
      subject: [{ CN: [commonName] }],
      notBefore: new Date(nowMs() - backdatedMs),
      notAfter: new Date(Math.min(nowMs() + lifeMs, certificate.notAfter.getTime())),
      publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
        new SubjectAlternativeNameExtension([
          ...addresses.map((value) => ({ type: 'ip', value }) as const),
          ...dnsNames.map((value) => ({ type: 'dns', value }) as const),
        ]),
        await SubjectKeyIdentifierExtension.create(publicKey),
        await AuthorityKeyIdentifierExtension.create(certificate.publicKey),
      ],
    });
  }

  return {
    certificatePem,
    async issue(request) {
      const leafKeys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
      const leaf = await sign(leafKeys.publicKey, request);
      return {
        certificatePem: pem(leaf),
        keyPem: await exportKeyPem(leafKeys.privateKey),
        notAfter: leaf.notAfter,
      };
    },
    async certify(signingRequestPem, request) {
      const asked = await readSigningRequest(signingRequestPem);
      return pem(await sign(await asked.publicKey.export(keyAlgorithm, ['verify']), request));
    },
  };
}

async function makeKeyPem(): Promise<string> {
  const { privateKey } = await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
  return exportKeyPem(privateKey);
}

async function makeAuthorityPem(keys: webcrypto.CryptoKeyPair, nowMs: number): Promise<string> {
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    // Every installation's is told apart from the others' in a list of trusted authorities.
    name: [{ CN: [`Larder ${randomBytes(4).toString('hex')}`] }],
    notBefore: new Date(nowMs - backdatedMs),
    notAfter: new Date(nowMs + authorityLifeMs),
    keys,
    signingAlgorithm,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return pem(certificate);
}

/** The file's text; `make`'s when there is none. Linked into place whole: the first of several wins. */
async function readOrMake(file: string, make: () => Promise<string>): Promise<string> {
  const text = await readFile(file, 'utf8').catch(unlessMissing);
  if (text !== undefined) return text;
  const mine = `${file}.${randomBytes(6).toString('hex')}`;
  await writeFile(mine, await make(), { mode: 0o600, flush: true });
  await link(mine, file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await rm(mine);
  return readFile(file, 'utf8');
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

async function readCertificate(text: string, keys: webcrypto.CryptoKeyPair): Promise<X509Certificate> {
  const certificate = new X509Certificate(text);
  const isOwn = await certificate.verify({ publicKey: keys.publicKey, signatureOnly: true });
  if (!isOwn) throw new Error('It was signed with another key.');
  return certificate;
}

async function importKeyPair(keyPem: string): Promise<webcrypto.CryptoKeyPair> {
  const [bytes] = PemConverter.decode(keyPem);
  if (bytes === undefined) throw new Error('It is not in PEM form.');
  const privateKey = await webcrypto.subtle.importKey('pkcs8', bytes, keyAlgorithm, true, ['sign']);
  const { kty, crv, x, y } = await webcrypto.subtle.exportKey('jwk', privateKey);
  const publicJwk = { kty, crv, x, y } as webcrypto.JsonWebKey;
  const publicKey = await webcrypto.subtle.importKey('jwk', publicJwk, keyAlgorithm, true, ['verify']);
  return { privateKey, publicKey };
}

async function exportKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  return `${PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
}

function pem(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}

/** 127 random bits: the first bit of a serial number is its sign. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
}
