/** What the person at the terminal sees: one line per step with its time, a bar where a step is long. */

export interface Progress {
  /** Begins a step; the one before is done. */
  step(sentence: string): void;
  /** Detail of the step under way; replaces the one before on a terminal. */
  detail(sentence: string): void;
  /** The step under way is done. */
  done(): void;
  /** A line outside of any step. */
  line(text: string): void;
}

export interface ProgressOutput {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const clearLine = '\r\u001b[2K';

/** @param now milliseconds on any steady clock. */
export function progressPrinter(
  output: ProgressOutput,
  now: () => number = () => performance.now(),
): Progress {
  const terminal = output.isTTY === true;
  let current: { sentence: string; startedAt: number } | undefined;

  function finish(): void {
    if (current === undefined) return;
    const seconds = ((now() - current.startedAt) / 1_000).toFixed(1);
    output.write(`${terminal ? clearLine : ''}  ${current.sentence} (${seconds} s)\n`);
    current = undefined;
  }
  return {
    step(sentence) {
      finish();
      current = { sentence, startedAt: now() };
      if (terminal) output.write(`  ${sentence} …`);
    },
    detail(sentence) {
      if (current === undefined) return;
      output.write(terminal ? `${clearLine}  ${current.sentence}: ${sentence}` : `    ${sentence}\n`);
    },
    done: finish,
    line(text) {
      finish();
      output.write(`${text}\n`);
    },
  };
}

/** (pure) For example `[#######-------------] 35 %`. */
export function bar(done: number, total: number, width = 20): string {
  const share = total <= 0 ? 1 : Math.min(1, Math.max(0, done / total));
  const filled = Math.round(share * width);
  return `[${'#'.repeat(filled)}${'-'.repeat(width - filled)}] ${Math.round(share * 100)} %`;
}
