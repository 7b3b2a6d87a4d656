import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { command, startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { waitFor } from '../testing/wait-for.ts';
import type { Driver, DriverOptions, LinkEvents } from './driver.ts';
import { ioredis } from './ioredis.ts';
import { nodeRedis } from './node-redis.ts';

const drivers: readonly [string, (options: DriverOptions) => Driver][] = [
  ['node-redis', nodeRedis],
  ['ioredis', ioredis],
];

let engine: TestEngine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine?.stop());

describe.each(drivers)('%s', (_, driverOf) => {
  const log = (): { events: LinkEvents; seen: string[] } => {
    const seen: string[] = [];
    return { seen, events: { up: () => seen.push('up'), down: () => seen.push('down') } };
  };

  test('sends, passes on replies as strings, and errors as the engine words them', async () => {
    const driver = driverOf(engine);
    const { events, seen } = log();
    const link = driver.openLink(driver.nodes[0]!, events);
    await waitFor('up', () => seen.includes('up'));
    await link.send(['SET', 'greeting', 'grüß']);
    expect(await link.send(['MGET', 'greeting', 'nothing'])).toEqual(['grüß', null]);
    expect(await link.send(['EVAL', "return {1, 'a', false}", '0'])).toEqual([1, 'a', null]);
    await expect(link.send(['EVALSHA', 'f'.repeat(40), '0'])).rejects.toThrow(/^NOSCRIPT/);
    link.close();
    await expect(link.send(['PING'])).rejects.toThrow();
  });

  test('rejects at once while down, rejects what is in flight when cut, and comes back', async () => {
    const own = await startEngine();
    const driver = driverOf(own);
    const { events, seen } = log();
    const link = driver.openLink(driver.nodes[0]!, events);
    await waitFor('up', () => seen.includes('up'));
    const inFlight = link.send(['BLPOP', 'never', '0']);
    inFlight.catch(() => {});
    await own.kill();
    await expect(inFlight).rejects.toThrow();
    await waitFor('down', () => seen.includes('down'));
    await expect(link.send(['PING'])).rejects.toThrow();
    await own.restart();
    await waitFor('up again', () => seen.filter((event) => event === 'up').length === 2);
    expect(await link.send(['PING'])).toBe('PONG');
    expect(seen).toEqual(['up', 'down', 'up']);
    link.close();
    await own.stop();
  });

  test('reset drops a connection that hangs', async () => {
    const driver = driverOf(engine);
    const { events, seen } = log();
    const link = driver.openLink(driver.nodes[0]!, events);
    await waitFor('up', () => seen.includes('up'));
    const hanging = link.send(['BLPOP', 'never', '0']);
    hanging.catch(() => {});
    link.reset();
    await expect(hanging).rejects.toThrow();
    await waitFor('up again', () => seen.filter((event) => event === 'up').length === 2);
    link.close();
  });

  test.each([false, true])('hears its channels, sharded: %s', async (sharded) => {
    const driver = driverOf(engine);
    const { events, seen } = log();
    const heard: string[] = [];
    const subscriber = driver.openSubscriber(
      driver.nodes[0]!,
      { channels: ['{a}one', '{a}two'], sharded },
      { ...events, message: (channel, text) => heard.push(`${channel} ${text}`) },
    );
    const publish = sharded ? 'SPUBLISH' : 'PUBLISH';
    await waitFor('up', () => seen.includes('up'));
    await command(engine, [publish, '{a}one', 'first']);
    await command(engine, [publish, '{a}two', 'é']);
    await waitFor('both messages', () => heard.length === 2);
    expect(heard).toEqual(['{a}one first', '{a}two é']);
    await command(engine, ['CLIENT', 'KILL', 'TYPE', 'pubsub']);
    await waitFor('up again', () => seen.filter((event) => event === 'up').length === 2);
    await command(engine, [publish, '{a}one', 'again']);
    await waitFor('the third message', () => heard.length === 3);
    expect(seen).toEqual(['up', 'down', 'up']);
    subscriber.close();
  });
});

test('a password is used', async () => {
  const locked = await startEngine('valkey', ['--requirepass', 'secret']);
  for (const [, driverOf] of drivers) {
    const driver = driverOf({ host: locked.host, port: locked.port, password: 'secret' });
    const seen: string[] = [];
    const link = driver.openLink(driver.nodes[0]!, { up: () => seen.push('up'), down: () => {} });
    await waitFor('up', () => seen.includes('up'));
    expect(await link.send(['PING'])).toBe('PONG');
    link.close();
  }
  await locked.stop();
});
