/**
 * (pure) Which server a key belongs to: libmemcached's weighted ketama (`MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED` with
 * MD5), as pylibmc, php-memcached (`OPT_LIBKETAMA_COMPATIBLE`) and libmemcached itself place keys. 160 points a
 * server, more or fewer by weight; four from each MD5 of `host-<n>`, or `host:port-<n>` when the port isn't 11211.
 *
 * A server that comes takes about its share from each of the others, one that goes leaves its share to them; no
 * other key moves. It is named as configured: the same machine by another name has other points.
 */
import { createHash } from 'node:crypto';
import type { NodeAddress } from '../driver/driver.ts';

export interface RingServer extends NodeAddress {
  /** Relative to the others'. Default 1. */
  readonly weight?: number;
}

const pointsPerServer = 160;
const pointsPerHash = 4;
const defaultPort = 11_211;

export class KetamaRing<Server extends RingServer = RingServer> {
  readonly #points: Uint32Array;
  readonly #owners: readonly Server[];

  constructor(servers: readonly Server[]) {
    const total = servers.reduce((sum, { weight = 1 }) => sum + weight, 0);
    const found: { readonly point: number; readonly owner: Server; readonly index: number }[] = [];
    for (const [index, owner] of servers.entries()) {
      // Single precision, as libmemcached computes it.
      const share = Math.fround(Math.fround(owner.weight ?? 1) / Math.fround(total));
      const wished = Math.fround(
        Math.fround(Math.fround(share * pointsPerServer) / pointsPerHash) * servers.length,
      );
      const hashes = Math.floor(Math.fround(wished + 1e-10));
      const name = owner.port === defaultPort ? owner.host : `${owner.host}:${owner.port}`;
      for (let n = 0; n < hashes; n += 1) {
        const digest = createHash('md5').update(`${name}-${n}`).digest();
        for (let at = 0; at < pointsPerHash; at += 1) {
          found.push({ point: digest.readUInt32LE(at * 4), owner, index });
        }
      }
    }
    found.sort((a, b) => a.point - b.point || a.index - b.index);
    this.#points = Uint32Array.from(found, ({ point }) => point);
    this.#owners = found.map(({ owner }) => owner);
  }

  /** Undefined when there are no servers. */
  ownerOf(key: string | Uint8Array): Server | undefined {
    return this.ownerOfPlace(ketamaHash(key));
  }

  /** @param place on the circle, 32 bits. */
  ownerOfPlace(place: number): Server | undefined {
    return this.#owners[this.#indexOf(place)];
  }

  /** The point that the key belongs to: the first that isn't below it. */
  pointOf(key: string | Uint8Array): number | undefined {
    return this.#points[this.#indexOf(ketamaHash(key))];
  }

  #indexOf(place: number): number {
    let low = 0;
    let high = this.#points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#points[middle]! < place) low = middle + 1;
      else high = middle;
    }
    return low === this.#points.length ? 0 : low;
  }
}

/** Where a key stands on the circle. */
export function ketamaHash(key: string | Uint8Array): number {
  return createHash('md5').update(key).digest().readUInt32LE(0);
}
