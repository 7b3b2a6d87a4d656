import { expect, test } from 'vitest';
import { bar, progressPrinter } from './progress.ts';

function printed(
  isTTY: boolean,
  act: (progress: ReturnType<typeof progressPrinter>, wait: (ms: number) => void) => void,
): string {
  let text = '';
  let clock = 0;
  const output = {
    isTTY,
    write: (more: string) => {
      text += more;
    },
  };
  act(
    progressPrinter(output, () => clock),
    (ms) => {
      clock += ms;
    },
  );
  return text;
}

test('without a terminal: one line per detail, one per finished step with its time', () => {
  const text = printed(false, (progress, wait) => {
    progress.step('PostgreSQL');
    wait(1_500);
    progress.step('Seed');
    progress.detail('5 rows');
    wait(200);
    progress.line('Ready');
  });
  expect(text).toBe('  PostgreSQL (1.5 s)\n    5 rows\n  Seed (0.2 s)\nReady\n');
});

test('on a terminal the step under way is one line that is written over', () => {
  const text = printed(true, (progress) => {
    progress.step('Seed');
    progress.detail('5 rows');
    progress.done();
  });
  expect(text.split('\n')).toHaveLength(2);
  expect(text).toContain('\r\u001b[2K  Seed: 5 rows');
});

test('a bar shows the share', () => {
  expect(bar(1, 4, 8)).toBe('[##------] 25 %');
  expect(bar(9, 4, 4)).toBe('[####] 100 %');
  expect(bar(0, 0, 4)).toBe('[####] 100 %');
});
