import { expect, test } from 'vitest';
import { hex12 } from '../entry.ts';
import { positionToHex } from '../position.ts';
import { partitionsOf } from './partition.ts';
import { PartitionState } from './partition-state.ts';

const epoch = hex12(5_000);

function setUp(voided: (hashes: readonly string[]) => void = () => {}) {
  const heard: string[] = [];
  const state = new PartitionState({
    cache: 'test',
    keys: partitionsOf('test', 1)[0]!,
    boundMs: 250,
    listener: {
      invalidated: (keys) => heard.push(...keys),
      flushed: () => heard.push('flush'),
      voided,
    },
  });
  // The engine's clock runs 10,000 ms ahead.
  state.clock.observe(0, 10_000, 0);
  state.connected(1, '');
  state.subscriptionUp();
  heard.length = 0;
  return { state, heard };
}

const beat = (timeMs: number, position = 1n, of = epoch): string =>
  of + hex12(timeMs) + positionToHex(position);

test('a beat makes near entries servable until the bound after it', () => {
  const { state } = setUp();
  expect(state.coherentUntilMs).toBe(Number.NEGATIVE_INFINITY);
  state.receive(`B 7 ${beat(10_100)}`, 120);
  expect(state.coherentUntilMs).toBe(100 + 250);
});

test('a beat from the future proves nothing', () => {
  const { state } = setUp();
  state.receive(`B 7 ${beat(10_500)}`, 120);
  expect(state.coherentUntilMs).toBe(Number.NEGATIVE_INFINITY);
  expect(state.judge(beat(10_500), 120)).toBe('stale');
});

test('messages in sequence invalidate their keys; a missing one flushes', () => {
  const { state, heard } = setUp();
  state.receive('I 3 ["product:1:7"]', 0);
  state.receive('I 4 ["product:1:8"]', 0);
  expect(heard).toEqual(['product:1:7', 'product:1:8']);
  state.receive('I 6 ["product:1:9"]', 0);
  expect(heard).toEqual(['product:1:7', 'product:1:8', 'flush', 'product:1:9']);
  expect(state.gaps).toBe(1);
});

test('a heartbeat reveals that the last message was lost', () => {
  const { state, heard } = setUp();
  state.receive('I 3 []', 0);
  state.receive(`B 4 ${beat(10_000)}`, 0);
  expect(heard).toEqual(['flush']);
});

test('a sequence that goes back, an epoch, a lost subscription and a lost connection flush', () => {
  const { state, heard } = setUp();
  state.receive('I 9 []', 0);
  state.receive('I 1 []', 0);
  state.receive(`E 2 ${epoch}`, 0);
  state.subscriptionDown();
  state.disconnected();
  expect(heard).toEqual(['flush', 'flush', 'flush', 'flush']);
});

test('a message that cannot be read flushes', () => {
  const { state, heard } = setUp();
  state.receive('I 1 {', 0);
  state.receive('I 2 [1]', 0);
  expect(heard).toEqual(['flush', 'flush']);
});

test('far reads are judged by the age of their beat', () => {
  const { state } = setUp();
  expect(state.judge(beat(10_000), 250)).toBe('fresh');
  expect(state.judge(beat(10_000), 251)).toBe('stale');
  expect(state.judge(null, 0)).toBe('missing');
});

test('after a reconnect the beat must change before it is believed', () => {
  const { state } = setUp();
  state.disconnected();
  state.clock.observe(0, 10_000, 0);
  state.connected(2, beat(10_000));
  expect(state.judge(beat(10_000), 10)).toBe('stale');
  expect(state.judge(beat(10_040), 50)).toBe('fresh');
});

test('a promoted replica that lost the tail is not believed until it has caught up', () => {
  const { state } = setUp();
  state.receive(`B 7 ${beat(10_000, 100n)}`, 0);
  state.disconnected();
  state.clock.observe(0, 10_000, 0);
  state.connected(2, '');
  expect(state.judge(beat(10_000, 99n), 10)).toBe('regressed');
  expect(state.judge(beat(10_040, 100n), 50)).toBe('fresh');
  expect(state.judge(beat(10_050, 1n, hex12(5_001)), 50)).toBe('fresh');
  expect(state.judge(beat(10_050, 200n), 50)).toBe('regressed');
});

test('what is read before the first number of a subscription is not kept near: a loss would go unseen', () => {
  const { state } = setUp();
  expect(state.nearSessionNow()).toBe(-1);
  state.receive('W 5', 0);
  expect(state.nearSessionNow()).toBe(state.nearSession);
  state.subscriptionDown();
  state.subscriptionUp();
  expect(state.nearSessionNow()).toBe(-1);
});

test('definitions that become void are told once, by their own message or by a heartbeat', () => {
  const voided: (readonly string[])[] = [];
  const { state } = setUp((hashes) => voided.push(hashes));
  const [one, two] = ['0000000a', '0000000b'];
  const position = (n: number): string => n.toString(16).padStart(16, '0');
  state.receive(`V 3 ${one}${position(5)}`, 0);
  state.receive(`B 3 ${beat(10_000)}${one}${position(5)}`, 0);
  state.receive(`B 3 ${beat(10_001)}${one}${position(5)}${two}${position(6)}`, 1);
  state.receive(`V 4 ${one}${position(9)}${two}${position(6)}`, 1);
  expect(voided).toEqual([[one], [two], [one]]);
  expect(state.judge(`${beat(10_001)}${one}${position(9)}${two}${position(6)}`, 2)).toBe('fresh');
});

test('a heartbeat that stood there at the connection stays distrusted, whatever is appended to it', () => {
  const { state } = setUp();
  state.disconnected();
  state.clock.observe(0, 10_000, 0);
  state.connected(2, beat(10_000));
  expect(state.judge(`${beat(10_000)}0000000a${'0'.repeat(16)}`, 1)).toBe('stale');
  expect(state.judge(`${beat(10_001)}0000000a${'0'.repeat(16)}`, 1)).toBe('fresh');
});
