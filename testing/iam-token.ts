/** IAM authentication tokens as AWS clients make them: a presigned request without its scheme. */
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import type { Access } from './larder.ts';

export async function iamToken(
  { accessKeyId, secretAccessKey, region }: Pick<Access, 'accessKeyId' | 'secretAccessKey' | 'region'>,
  cacheName: string,
  userId: string,
  at: Date,
): Promise<string> {
  const signer = new SignatureV4({
    credentials: { accessKeyId, secretAccessKey },
    region,
    service: 'elasticache',
    sha256: Sha256,
  });
  const { query } = await signer.presign(
    {
      method: 'GET',
      protocol: 'http:',
      hostname: cacheName,
      path: '/',
      headers: { host: cacheName },
      query: { Action: 'connect', User: userId },
    },
    { expiresIn: 900, signingDate: at },
  );
  return `${cacheName}/?${new URLSearchParams(query as Record<string, string>)}`;
}
