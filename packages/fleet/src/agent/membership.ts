/** What a machine has once it joined: who it is, what proves it, and how it was set up. Kept in its data directory. */
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { writeDurably } from '../durable-file.ts';
import { fingerprint, signingRequest } from '../tls/authority.ts';
import type { Credentials } from './agent-client.ts';
import { hostCertificateName } from './agent-server.ts';

/** How the operator set the machine up. */
export interface HostSettings {
  readonly name: string;
  readonly zone: string;
  readonly listen: { readonly address: string; readonly port: number };
  /** The range of its nodes' addresses. */
  readonly addresses: string;
  /** That addresses are put on; without it all are there already. */
  readonly interface?: string;
}

export interface Membership extends HostSettings, Credentials {
  readonly fleetKey: Buffer;
}

export class NotJoined extends Error {
  override name = 'NotJoined';
}

const file = 'membership.json';
const answerLimitMs = 15_000;
const maxAnswerBytes = 64 * 1_024;

/** Undefined when the machine has not joined yet. @throws when the file is there and damaged. */
export async function readMembership(directory: string): Promise<Membership | undefined> {
  const text = await readFile(join(directory, file), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const value = JSON.parse(text) as Membership & { fleetKey: string };
  return { ...value, fleetKey: Buffer.from(value.fleetKey, 'base64') };
}

/**
 * Joins the fleet of the service at `url`, whose authority the token names, and writes the membership down.
 * @throws NotJoined with what to do next; nothing was written then.
 */
export async function joinFleet(
  directory: string,
  url: string,
  token: string,
  settings: HostSettings,
): Promise<Membership> {
  const [secret, wanted] = token.trim().split('.');
  if (secret === undefined || wanted === undefined || !/^[0-9a-f]{64}$/.test(wanted)) {
    throw new NotJoined('The token is not whole; make one with "larder hosts token".');
  }
  // Whoever answers: what it says is its authority is believed by its fingerprint alone.
  const authorityPem = await exchange(new URL('/authority', url), { rejectUnauthorized: false });
  if (fingerprintOf(authorityPem) !== wanted) {
    throw new NotJoined(`${url} is not the service that made the token. Check --join.`);
  }
  const { name, zone, listen, addresses } = settings;
  const { keyPem, signingRequestPem } = await signingRequest(hostCertificateName(name));
  const answer = JSON.parse(
    await exchange(
      new URL('/join', url),
      { ca: authorityPem },
      {
        secret,
        name,
        zone,
        url: `https://${listen.address}:${listen.port}`,
        addresses,
        signingRequestPem,
      },
    ),
  ) as { certificatePem: string; authorityPem: string; fleetKey: string };
  const { certificatePem, fleetKey } = answer;
  const membership = { ...settings, certificatePem, keyPem, authorityPem, fleetKey };
  await mkdir(directory, { recursive: true, mode: 0o700 });
  writeDurably(join(directory, file), JSON.stringify(membership));
  return { ...membership, fleetKey: Buffer.from(fleetKey, 'base64') };
}

function fingerprintOf(pem: string): string {
  try {
    return fingerprint(pem);
  } catch {
    return createHash('sha256').digest('hex');
  }
}

function exchange(
  url: URL,
  tls: { readonly ca?: string; readonly rejectUnauthorized?: boolean },
  body?: unknown,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const asking = request(
      url,
      { ...tls, method: body === undefined ? 'GET' : 'POST', timeout: answerLimitMs, agent: false },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString();
          if (text.length > maxAnswerBytes) response.destroy(new Error('its answer is too long'));
        });
        response.once('error', reject);
        response.once('end', () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new NotJoined(`The service refused: ${messageOf(text)}`));
        });
      },
    );
    asking.once('timeout', () => asking.destroy(new Error('no answer in time')));
    asking.once('error', (error) =>
      reject(
        error instanceof NotJoined
          ? error
          : new NotJoined(`${url.origin} can't be reached: ${error.message}`),
      ),
    );
    asking.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function messageOf(text: string): string {
  try {
    return (JSON.parse(text) as { message?: string }).message ?? text;
  } catch {
    return text;
  }
}
