/** The peers as the proofs and benches name them: a library and whether it keeps values near. */
import { openAside } from './aside.ts';
import { openAsyncCacheDedupe } from './async-cache-dedupe.ts';
import { openBentocache } from './bentocache.ts';
import { openCacheManager } from './cache-manager.ts';
import { openCacheable } from './cacheable.ts';
import { openCachified } from './cachified.ts';
import { openLayeredLoader } from './layered-loader.ts';
import type { OpenSubject } from './subject.ts';

export interface PeerConfiguration {
  readonly open: OpenSubject;
  readonly near: boolean;
}

export const peers: Readonly<Record<string, PeerConfiguration>> = {
  aside: { open: openAside, near: false },
  'bentocache far': { open: openBentocache, near: false },
  bentocache: { open: openBentocache, near: true },
  cacheable: { open: openCacheable, near: true },
  'cache-manager': { open: openCacheManager, near: false },
  'layered-loader far': { open: openLayeredLoader, near: false },
  'layered-loader': { open: openLayeredLoader, near: true },
  'async-cache-dedupe': { open: openAsyncCacheDedupe, near: false },
  cachified: { open: openCachified, near: false },
};

/** @param name of `peers` */
export function peerConfiguration(name: string): PeerConfiguration {
  const found = peers[name];
  if (found === undefined) throw new Error(`No peer ${name}; there are ${Object.keys(peers).join(', ')}.`);
  return found;
}
