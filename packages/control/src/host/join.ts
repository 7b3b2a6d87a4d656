/** How a machine joins the fleet: with a token that is good once, for an hour, and names the authority to be trusted. */
import { createHash, randomBytes } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { controllerName, hostCertificateName } from '@larder/fleet/agent/agent-server';
import { type AddressRange, parseAddressRange } from '@larder/fleet/ipv4';
import type { Authority } from '@larder/fleet/tls/authority';
import type { Database } from '../database/connect.ts';
import { zonesOf } from '../placement/zones.ts';
import { insertJoinToken, readHosts, useJoinToken, writeHost } from './store.ts';

export interface JoinContext {
  readonly database: Database;
  readonly authority: Authority;
  /** `fingerprint` of the authority's certificate. */
  readonly authorityFingerprint: string;
  /** What every host of the fleet derives its nodes' secrets from. */
  readonly fleetKey: Buffer;
  readonly region: string;
  /** Addresses that no host may have: those of endpoints, unless these are names. */
  readonly endpointAddresses?: string;
  readonly nowMs: () => number;
}

export class JoinRefused extends Error {
  override name = 'JoinRefused';
}

export interface JoinRequest {
  readonly secret: string;
  readonly name: string;
  readonly zone: string;
  readonly url: string;
  readonly addresses: string;
  readonly signingRequestPem: string;
}

export interface JoinAnswer {
  readonly certificatePem: string;
  readonly authorityPem: string;
  /** Base64. */
  readonly fleetKey: string;
}

const tokenLifeMs = 3_600_000;
const certificateLifeMs = 10 * 365 * 24 * 3_600_000;
const hostName = /^[a-z][a-z0-9-]{0,39}$/;
const mostTextLength = 8_192;

/** @returns the token, which nobody shows again. */
export async function makeJoinToken(context: JoinContext): Promise<string> {
  const secret = randomBytes(24).toString('base64url');
  const expiresAtMs = context.nowMs() + tokenLifeMs;
  await context.database
    .transaction()
    .execute((transaction) => insertJoinToken(transaction, { digest: digestOf(secret), expiresAtMs }));
  return `${secret}.${context.authorityFingerprint}`;
}

/**
 * Takes the host in, or takes it that one which joined before is at another place now.
 * @throws JoinRefused with what to do next, SigningRequestInvalid
 */
export async function joinHost(context: JoinContext, body: unknown): Promise<JoinAnswer> {
  const request = readRequest(body);
  const { name, zone, url, addresses } = request;
  const { hostname } = new URL(url);
  const certificatePem = await context.authority.certify(request.signingRequestPem, {
    commonName: hostCertificateName(name),
    addresses: [hostname],
    dnsNames: [],
    lifeMs: certificateLifeMs,
  });
  const zones = zonesOf(context.region);
  if (!zones.includes(zone)) {
    throw new JoinRefused(`There is no zone ${zone}; --zone must be one of ${zones.join(', ')}.`);
  }
  await context.database.transaction().execute(async (transaction) => {
    const atMs = context.nowMs();
    if (!(await useJoinToken(transaction, digestOf(request.secret), atMs))) {
      throw new JoinRefused('The token was used, or is too old; make one with "larder hosts token".');
    }
    const range = parseAddressRange(addresses)!;
    const others = (await readHosts(transaction)).filter((host) => host.name !== name);
    const endpoints =
      context.endpointAddresses === undefined
        ? []
        : [{ name: 'endpoints', addresses: context.endpointAddresses }];
    const taken = [...others, ...endpoints].find((other) =>
      overlap(range, parseAddressRange(other.addresses)!),
    );
    if (taken !== undefined) {
      throw new JoinRefused(`--addresses ${addresses} overlaps with ${taken.addresses} of ${taken.name}.`);
    }
    await writeHost(transaction, { name, zone, url, addresses, joinedAtMs: atMs, leaving: false });
  });
  return {
    certificatePem,
    authorityPem: context.authority.certificatePem,
    fleetKey: context.fleetKey.toString('base64'),
  };
}

function readRequest(body: unknown): JoinRequest {
  const fields = ['secret', 'name', 'zone', 'url', 'addresses', 'signingRequestPem'] as const;
  const values = body as Record<string, unknown>;
  for (const field of fields) {
    const value = values[field];
    if (typeof value !== 'string' || value.length > mostTextLength) {
      throw new JoinRefused(`A request to join has a text ${field}.`);
    }
  }
  const request = values as unknown as JoinRequest;
  if (!hostName.test(request.name) || request.name === controllerName) {
    throw new JoinRefused('--name must be 1 to 40 lower-case letters, digits and hyphens, a letter first.');
  }
  const url = URL.canParse(request.url) ? new URL(request.url) : undefined;
  if (url?.protocol !== 'https:' || !isIPv4(url.hostname)) {
    throw new JoinRefused('--listen must be an IPv4 address and a port that controllers and hosts reach.');
  }
  if (parseAddressRange(request.addresses) === undefined) {
    throw new JoinRefused('--addresses must be a range such as 10.0.1.0/24 or 10.0.1.10-10.0.1.50.');
  }
  return request;
}

function overlap(one: AddressRange, other: AddressRange): boolean {
  return one.first <= other.last && other.first <= one.last;
}

function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
