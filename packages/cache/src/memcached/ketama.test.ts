import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { KetamaRing, ketamaHash } from './ketama.ts';

const weights = [600, 300, 200, 350, 1_000, 800, 950, 100];
const servers = weights.map((weight, index) => ({ host: `10.0.1.${index + 1}`, port: 11_211, weight }));

/** From libmemcached's own tests of weighted ketama with these servers: key, its place, the point it belongs to. */
const known: readonly (readonly [string, number, number])[] = [
  ['SVa_]_V41)', 443691461, 445379617],
  ['*/Z;?V(.\\8', 1422915503, 1428303028],
  ['30C1*Z*S/_', 1473165754, 1480075959],
  ['ERR:EC58G>', 2148406511, 2168579133],
  ['1I=cTMNTKF', 2882686667, 2885206587],
  [']VG<`I*Z8)', 1103544263, 1104827657],
  ['@7RU6C6T+Z', 3862737685, 3871917949],
  ['726bW=9*a4', 4213440020, 4213950705],
  ['\\`)<B)UE,c', 951096736, 955226069],
  ['P1[Ma3=K1/', 1989324036, 1994028240],
  ['C89I.-V?cT', 1604239957, 1606398093],
  ['WHD\\O1`ZRW', 3087923411, 3095471560],
  ['+550F^/.01', 3781824099, 3783248219],
  ['`C9^FV,960', 2628553463, 2628733766],
  ['[>RZHG97Q9', 71954686, 72034069],
  ['FL;\\GWacaV', 458449508, 467374054],
  ['R=F_D-K2a]', 1287750228, 1290935562],
  ['VD6D0]ba_\\', 3842502950, 3842588691],
];

test('keys belong to the points that libmemcached gives them', () => {
  const ring = new KetamaRing(servers);
  for (const [key, place, point] of known) {
    expect(ketamaHash(key), key).toBe(place);
    expect(ring.pointOf(key), key).toBe(point);
  }
});

test('a point belongs to the server whose name gave it', () => {
  const ring = new KetamaRing([...servers, { host: 'other', port: 11_212, weight: 500 }]);
  for (let n = 0; n < 500; n += 1) {
    const owner = ring.ownerOf(`${n}`)!;
    const name = owner.port === 11_211 ? owner.host : `${owner.host}:${owner.port}`;
    const point = Buffer.alloc(4);
    point.writeUInt32LE(ring.pointOf(`${n}`)!);
    const given = Array.from({ length: 100 }, (_, at) => createHash('md5').update(`${name}-${at}`).digest());
    expect(given.some((digest) => digest.indexOf(point) % 4 === 0)).toBe(true);
  }
});

test('behind the last point the circle begins anew', () => {
  const ring = new KetamaRing(servers);
  expect(ketamaHash('VDEAAAAA')).toBe(0xfffcd1b5);
  expect(ring.pointOf('VDEAAAAA')).toBeLessThan(0x01000000);
  expect(new KetamaRing([]).ownerOf('any')).toBeUndefined();
});

test('a server that comes takes keys, and no others move', () => {
  const few = new KetamaRing(Array.from({ length: 5 }, (_, n) => ({ host: `node-${n}`, port: 11_212 })));
  const more = new KetamaRing(Array.from({ length: 6 }, (_, n) => ({ host: `node-${n}`, port: 11_212 })));
  const keys = Array.from({ length: 6_000 }, (_, n) => `product:1:${n}`);
  const moved = keys.filter((key) => few.ownerOf(key)!.host !== more.ownerOf(key)!.host);
  expect(moved.every((key) => more.ownerOf(key)!.host === 'node-5')).toBe(true);
  expect(moved.length).toBeGreaterThan(keys.length / 12);
  expect(moved.length).toBeLessThan(keys.length / 4);
});

test('the order in which servers are named does not matter', () => {
  const ring = new KetamaRing(servers);
  const reversed = new KetamaRing([...servers].reverse());
  for (let n = 0; n < 1_000; n += 1) expect(reversed.ownerOf(`${n}`)).toBe(ring.ownerOf(`${n}`));
});
