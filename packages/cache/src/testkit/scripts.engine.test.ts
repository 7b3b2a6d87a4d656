/**
 * The engine in memory against a real one: random sequences of calls of every script get the same replies, leave the
 * same keys and send the same messages. fast-check prints the seed and the shrunk sequence when they differ.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import type { Driver, Link } from '../driver/driver.ts';
import { nodeRedis } from '../driver/node-redis.ts';
import { hex12 } from '../entry.ts';
import { stampBytes, tagBucketCount } from '../far/partition.ts';
import * as scripts from '../far/scripts.ts';
import { waitFor } from '../testing/wait-for.ts';
import { MemoryEngine } from './testkit.ts';

const channel = '{t}#ch';
const [state, stamps, beat, tagStamps] = ['{t}#state', '{t}#stamps', '{t}#beat', '{t}#tag-stamps'] as const;
const [tagList, tagSets] = ['{t}#tags', ['{t}#t:red', '{t}#t:blue']] as const;

const number = (...of: number[]) => fc.constantFrom(...of.map(String));
const keyNumber = fc.constantFrom(1, 2);
const value = (key: number) => `{t}p:1:${key}`;
const lease = (key: number) => `{t}#l:p:1:${key}`;
const offset = (key: number) => String(key === 1 ? 0 : 65_535 * stampBytes);
const epoch = fc.constantFrom('00000000000a', '00000000000b');
/** Beyond what a double tells apart, and with high bits in either half. */
const position = fc.constantFrom(
  '0000000000000000',
  '00000000fffffffe',
  '00000000ffffffff',
  '0020000000000000',
  '0020000000000001',
  'fffffffffffffff0',
);
const owner = fc.constantFrom('o1', 'o2');
const [voidHash, otherHash] = ['0000abcd', 'ffff0001'];
const publish = ['PUBLISH', channel] as const;
const halves = (hex: string) =>
  [hex.slice(0, 8), hex.slice(8)].map((half) => String(Number.parseInt(half, 16)));
const entry = (of: string) => `LC1j${of}${'0'.repeat(40)}\n{"price":"1 €"}`;
const oneOrTwo = fc.constantFrom([1], [2], [1, 2]);

interface Call {
  readonly script: scripts.Script;
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

const call = (script: scripts.Script, keys: readonly string[], args: readonly string[]): Call => ({
  script,
  keys,
  args,
});
const pairs = (keys: readonly number[]) => keys.flatMap((key) => [value(key), lease(key)]);
const json = (keys: readonly number[]) => JSON.stringify(keys.map((key) => `p:1:${key}`));

const calls: Readonly<Record<string, fc.Arbitrary<Call>>> = {
  acquire: fc
    .tuple(keyNumber, owner, fc.constantFrom('0', '1'), fc.option(position, { nil: '' }))
    .map(([key, who, ignore, own]) =>
      call(
        scripts.acquireScript,
        [value(key), lease(key), state, stamps, beat],
        [offset(key), who, '500000', ignore, own, voidHash],
      ),
    ),
  fill: fc
    .tuple(
      keyNumber,
      epoch,
      position,
      number(0, 0, 1),
      owner,
      fc.constantFrom([], [0], [0, 1]),
      number(0, 1, 9),
    )
    .map(([key, of, w, generation, who, tags, t]) =>
      call(
        scripts.fillScript,
        [
          ...[value(key), lease(key), state, stamps],
          ...(tags.length === 0 ? [] : [tagStamps, tagList, ...tags.map((tag) => tagSets[tag]!)]),
        ],
        [
          ...[offset(key), of, w, generation, who, entry(of), '600000', ...publish, `F p:1:${key}`],
          ...(tags.length === 0 ? [] : [t, `p:1:${key}`, ...tags.map((tag) => String(tag * stampBytes))]),
        ],
      ),
    ),
  release: fc
    .tuple(keyNumber, owner)
    .map(([key, who]) => call(scripts.releaseScript, [lease(key)], [who, ...publish, `F p:1:${key}`])),
  renew: fc
    .tuple(keyNumber, owner)
    .map(([key, who]) => call(scripts.renewScript, [lease(key)], [who, '700000'])),
  invalidate: oneOrTwo.map((keys) =>
    call(
      scripts.invalidateScript,
      [state, stamps, ...pairs(keys)],
      [...publish, json(keys), ...keys.map(offset)],
    ),
  ),
  invalidateTag: fc
    .tuple(fc.constantFrom(0, 1), fc.option(position, { nil: '' }))
    .map(([tag, n]) =>
      call(
        scripts.invalidateTagScript,
        [state, tagStamps, tagSets[tag]!],
        [...publish, String(tag * stampBytes), '{t}', n],
      ),
    ),
  stamp: fc
    .tuple(oneOrTwo, position)
    .map(([keys, n]) =>
      call(
        scripts.stampScript,
        [state, stamps, ...pairs(keys)],
        [n, ...publish, json(keys), ...keys.map(offset)],
      ),
    ),
  announce: fc
    .tuple(oneOrTwo, number(7, 70))
    .map(([keys, x]) =>
      call(
        scripts.announceScript,
        [state, stamps, ...pairs(keys)],
        [x, ...publish, json(keys), ...keys.map(offset)],
      ),
    ),
  withdraw: fc.tuple(oneOrTwo, number(7, 70)).map(([keys, x]) =>
    call(
      scripts.withdrawScript,
      [state],
      keys.flatMap((key) => [offset(key), x]),
    ),
  ),
  announced: fc.constant(call(scripts.announcedScript, [state], [])),
  applyTag: fc
    .tuple(epoch, position, fc.constantFrom(0, 1), position)
    .map(([of, from, tag, at]) =>
      call(
        scripts.applyTagScript,
        [state, tagStamps, tagSets[tag]!],
        [of, from, String(tag * stampBytes), ...halves(at), ...publish, '{t}'],
      ),
    ),
  void: fc
    .tuple(epoch, position, fc.constantFrom(voidHash, otherHash), position)
    .map(([of, from, hash, at]) => call(scripts.voidScript, [state, beat], [of, from, hash, at, ...publish])),
  apply: fc
    .tuple(epoch, position, position, oneOrTwo, position)
    .map(([of, from, to, keys, at]) =>
      call(
        scripts.applyScript,
        [state, stamps, ...pairs(keys)],
        [of, from, to, ...publish, json(keys), ...keys.flatMap((key) => [offset(key), ...halves(at)])],
      ),
    ),
  watermark: fc
    .tuple(epoch, position)
    .map(([of, w]) => call(scripts.watermarkScript, [state], [of, w, ...publish])),
  beat: fc
    .tuple(epoch, position, position, position, fc.constantFrom(-60_000, 1_000, 10_000_000))
    .map(([of, from, to, w, ageMs]) =>
      call(
        scripts.beatScript,
        [state, beat, stamps, tagStamps],
        [of, from, to, w, hex12(Date.now() - ageMs), '600000', ...publish],
      ),
    ),
  init: fc
    .tuple(fc.option(epoch, { nil: '' }), epoch, position, position, position)
    .map(([from, to, a, w, f]) =>
      call(scripts.initScript, [state, stamps, beat, tagStamps], [from, to, a, w, f, 'test', ...publish]),
    ),
  clock: fc.constant(call(scripts.clockScript, [state, beat], [])),
  pulse: fc.constant(call(scripts.pulseScript, [state], [...publish])),
  state: fc.constant(call(scripts.stateScript, [state, stamps], [])),
};

/** One side: a connection, and what its subscription heard. */
interface Side {
  readonly link: Link;
  readonly heard: string[];
  readonly close: () => void;
}

async function connect(driver: Driver): Promise<Side> {
  const heard: string[] = [];
  let up = 0;
  const events = {
    up: () => {
      up += 1;
    },
    down: () => {},
  };
  const link = driver.openLink(driver.nodes[0]!, events);
  const subscriber = driver.openSubscriber(
    driver.nodes[0]!,
    { channels: [channel], sharded: false },
    { ...events, message: (_, text) => heard.push(text) },
  );
  await waitFor('connections', () => up === 2);
  const close = (): void => {
    link.close();
    subscriber.close();
  };
  return { link, heard, close };
}

let engine: TestEngine;
let real: Side;
let memory: Side;
beforeAll(async () => {
  engine = await startEngine();
  [real, memory] = await Promise.all([connect(nodeRedis(engine)), connect(new MemoryEngine().driver())]);
});
afterAll(async () => {
  real?.close();
  memory?.close();
  await engine?.stop();
});

/** Times of the two clocks differ by little; everything else must not differ at all. */
function withoutTimes(text: string): string {
  return text.replace(/^(\d{9,})$/, '<time>').replace(/^(P \d+) \d+$/, '$1 <time>');
}

async function run({ link }: Side, { script, keys, args }: Call): Promise<unknown> {
  try {
    const reply = await link.send(['EVAL', script.source, String(keys.length), ...keys, ...args]);
    const [first, ...rest] = Array.isArray(reply) ? (reply as unknown[]) : [reply];
    const plain = [first, ...rest].map((part) => (typeof part === 'string' ? withoutTimes(part) : part));
    return script.name === 'clock' ? ['<time>', '<micros>', ...plain.slice(2)] : plain;
  } catch (error) {
    return `failed: ${(error as Error).message.split(' ')[0]}`;
  }
}

async function contents({ link }: Side): Promise<unknown> {
  const found: Record<string, unknown> = {};
  for (const key of ((await link.send(['KEYS', '*'])) as string[]).sort()) {
    const type = await link.send(['TYPE', key]);
    const ttl = Number(await link.send(['PTTL', key]));
    const rounded = ttl < 0 ? ttl : Math.round(ttl / 50_000);
    if (key === stamps || key === tagStamps) {
      const last = (key === stamps ? 65_535 : tagBucketCount - 1) * stampBytes;
      const length = await link.send(['STRLEN', key]);
      const parts = [0, stampBytes, last].map((at) => hexOf(link, key, at));
      found[key] = [length, rounded, await Promise.all(parts)];
    } else if (type === 'hash') found[key] = sorted((await link.send(['HGETALL', key])) as string[]);
    else if (type === 'zset') found[key] = await link.send(['ZRANGE', key, '0', '-1']);
    else found[key] = [type, rounded, await link.send(['GET', key])];
  }
  return found;
}

const hexSource = `local out = {} for i, byte in ipairs({string.byte(redis.call('GETRANGE', KEYS[1], ARGV[1], ARGV[1] + 11), 1, 12)}) do
out[i] = string.format('%02x', byte) end return table.concat(out)`;
const hexOf = (link: Link, key: string, at: number) => link.send(['EVAL', hexSource, '1', key, String(at)]);

function sorted(flat: readonly string[]): string[] {
  const fields: string[] = [];
  for (let i = 0; i < flat.length; i += 2) fields.push(`${flat[i]}=${flat[i + 1]}`);
  return fields.sort();
}

test('there are calls for every script', () => {
  const known = Object.values(scripts).map(({ name }) => name);
  expect(Object.keys(calls).sort()).toEqual(known.sort());
});

test('random calls have the same effects in both engines', async () => {
  // Mostly with a state that fits, or nearly every reply would be that there is none.
  const begin = call(
    scripts.initScript,
    [state, stamps, beat, tagStamps],
    ['', '00000000000a', '0000000000000000', '00000000ffffffff', '0000000000000000', 'test', ...publish],
  );
  const seen = new Set<string>();
  const sequences = fc.tuple(
    fc.boolean(),
    fc.array(fc.oneof(...Object.values(calls), calls.fill!, calls.fill!, calls.apply!), {
      minLength: 5,
      maxLength: 40,
    }),
  );
  await fc.assert(
    fc.asyncProperty(sequences, async ([begun, sequence]) => {
      for (const side of [real, memory]) {
        await side.link.send(['FLUSHALL']);
        side.heard.length = 0;
      }
      for (const each of begun ? [begin, ...sequence] : sequence) {
        const expected = await run(real, each);
        expect([each.script.name, await run(memory, each)]).toEqual([each.script.name, expected]);
        seen.add(`${each.script.name} ${Array.isArray(expected) ? String(expected[0]) : expected}`);
      }
      expect(await contents(memory)).toEqual(await contents(real));
      for (const side of [real, memory]) await side.link.send(['PUBLISH', channel, 'end']);
      await waitFor('all messages', () => real.heard.at(-1) === 'end' && memory.heard.at(-1) === 'end');
      expect(memory.heard.map(withoutTimes)).toEqual(real.heard.map(withoutTimes));
    }),
    { numRuns: 60 },
  );
  // The calls reached many different answers, not refusals alone.
  expect(seen.size).toBeGreaterThan(25);
  for (const answer of ['fill ok', 'apply ok', 'acquire lease']) expect(seen).toContain(answer);
});

test('scripts see Lua as the engine has it', async () => {
  const snippets: readonly string[] = [
    'return 3.0 * 2',
    'return tostring(10 / 2) .. "|" .. tostring(1e15) .. "|" .. (2 ^ 53)',
    'return 7.9',
    'return {1, 2, nil, 4}',
    'return {true, false}',
    'return redis.status_reply("FINE")',
    'return tonumber("ffffffff", 16) .. ""',
    'return tonumber("12") + 1 .. ""',
    'return "10" + 5 .. ""',
    'return #KEYS .. " " .. table.getn({1, 2}) .. " " .. select("#", unpack({1, 2, 3}))',
    'redis.call("SET", "n", 1.5) redis.call("SET", "m", 12345678901234) return redis.call("MGET", "n", "m", "none")',
    'return struct.pack(">I4I2", 4294967295, 258)',
    'return {struct.unpack(">I4I4", struct.pack(">I4I4", 4294967295, 7))}',
    'return redis.pcall("HGET", "n", "x").err',
    'return redis.call("HGET", "n", "x")',
    'return redis.sha1hex("")',
    'return cjson.encode({"a", 1, true}) .. cjson.decode("[1,2,3]")[2]',
    'local t = redis.call("TIME") return type(t[1]) .. #t',
    'return string.format("%.0f %d %5.1f", 4294967296, 3, 2.3)',
    'return math.floor(1790000000123.9) .. ""',
    'return 2147483647 + 1 .. ""',
    'for i = 1, 3 do redis.call("RPUSH", "l", i) end return redis.call("LRANGE", "l", 0, -1)',
    'error("no")',
    'return nothing.at.all',
  ];
  for (const { link } of [real, memory]) await link.send(['FLUSHALL']);
  for (const source of snippets) {
    const look = async ({ link }: Side): Promise<unknown> => {
      try {
        return await link.send(['EVAL', source, '0']);
      } catch (error) {
        return `failed: ${(error as Error).message.split(' ')[0]}`;
      }
    };
    expect([source, await look(memory)]).toEqual([source, await look(real)]);
  }
});
