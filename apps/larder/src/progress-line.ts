/** One line per step with its time, and a bar while something takes long. Plain lines when nobody watches. */

export interface ProgressLine {
  update(text: string, fraction?: number): void;
  done(result: string): void;
  failed(): void;
}

const barWidth = 24;

/** Writes to stderr: stdout is for results. */
export function progressLine(title: string, plain: boolean): ProgressLine {
  const startMs = performance.now();
  const live = process.stderr.isTTY === true && !plain;
  const seconds = () => `${((performance.now() - startMs) / 1_000).toFixed(1)} s`;
  const redraw = (text: string) => process.stderr.write(`\r\u001b[2K${text}`);
  let last = '';

  return {
    update(text, fraction) {
      if (live) {
        const filled = Math.round((fraction ?? 0) * barWidth);
        const bar = fraction === undefined ? '' : ` [${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}]`;
        redraw(`  ${title}: ${text}${bar}`);
      } else if (text !== last) {
        process.stderr.write(`  ${title}: ${text}\n`);
      }
      last = text;
    },
    done(result) {
      if (live) redraw('');
      process.stderr.write(`✓ ${title}: ${result} (${seconds()})\n`);
    },
    failed() {
      if (live) redraw('');
      process.stderr.write(`✗ ${title} (${seconds()})\n`);
    },
  };
}
