import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { waitFor } from '../../../testing/wait-for.ts';
import { deathOf, openFilesLimit, parseStat, readStat } from './process-table.ts';

describe('/proc/PID/stat', () => {
  const after = `S 1 77 78 0 -1 4194560 1 0 3 0 5 6 0 0 20 0 4 0 123456 1000 200`;

  test.each(['valkey-server', 'a b', ') S 9 9', '((', ') ) )', '\n', ''])('of a process named %j', (name) => {
    expect(parseStat(`42 (${name}) ${after}\n`)).toEqual({
      state: 'S',
      session: 78,
      flags: 4194560,
      majorFaults: 3,
      cpuMs: 110,
      startTicks: 123456,
      residentPages: 200,
    });
  });

  test('any name, and any cut', () => {
    fc.assert(fc.property(fc.string(), (name) => parseStat(`42 (${name}) ${after}`)?.startTicks === 123456));
    fc.assert(fc.property(fc.string(), (text) => void parseStat(text)));
    expect(parseStat('42 (a) S 1 77')).toBeUndefined();
  });
});

describe('a process', () => {
  test('lives, dies, and is not mistaken for another with its pid', async () => {
    const child = spawn('sleep', ['60']);
    await once(child, 'spawn');
    const pid = child.pid!;
    const { startTicks } = readStat(pid)!;
    expect(deathOf({ pid, startTicks })).toBeUndefined();
    expect(deathOf({ pid, startTicks: startTicks - 1 })).toBe('gone');
    child.kill('SIGKILL');
    await waitFor(
      () => deathOf({ pid, startTicks }),
      (how) => how !== undefined,
      { what: 'its death', everyMs: 1 },
    );
    await waitFor(
      () => readStat(pid),
      (stat) => stat === undefined,
      { what: 'its end' },
    );
    expect(deathOf({ pid, startTicks })).toBe('gone');
  });

  test('has a limit of files', () => expect(openFilesLimit()).toBeGreaterThan(0));
});
