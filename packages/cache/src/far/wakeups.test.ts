import { expect, test } from 'vitest';
import { Wakeups } from './wakeups.ts';

const forever = 60_000;

test('a read wakes for its key, for visibility, and when nothing more will be heard', async () => {
  const wakeups = new Wakeups();
  const [a, b] = [wakeups.listen('a'), wakeups.listen('b')];
  const woken: string[] = [];
  const waits = {
    a: a.keyChange(forever).then(() => woken.push('a')),
    b: b.keyChange(forever).then(() => woken.push('b')),
    visible: a.visibility(forever).then(() => woken.push('visible')),
  };
  wakeups.keyChanged('a');
  await waits.a;
  wakeups.becameVisible();
  await waits.visible;
  expect(woken).toEqual(['a', 'visible']);
  wakeups.all();
  await waits.b;
});

test('a notice that comes before the wait ends it at once, and only that one', async () => {
  const wakeups = new Wakeups();
  const listening = wakeups.listen('a');
  wakeups.keyChanged('a');
  await listening.keyChange(forever);
  let ended = false;
  const second = listening.keyChange(forever).then(() => {
    ended = true;
  });
  await new Promise(setImmediate);
  expect(ended).toBe(false);
  wakeups.keyChanged('a');
  await second;
});

test('without a notice the wait ends by time; closed ears hear nothing', async () => {
  const wakeups = new Wakeups();
  const listening = wakeups.listen('a');
  await listening.visibility(5);
  listening.close();
  wakeups.keyChanged('a');
  await listening.keyChange(5);
});
