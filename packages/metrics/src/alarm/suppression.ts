/** (pure) Whether a composite alarm's actions are held back by the alarm that suppresses them. */
import type { AlarmState } from './evaluate-alarm.ts';

export type SuppressedBy = 'Alarm' | 'WaitPeriod' | 'ExtensionPeriod';

export interface SuppressionInput {
  /** Undefined when the suppressor is gone: then it holds nothing back. */
  readonly suppressor: { readonly state: AlarmState; readonly changedAtMs: number } | undefined;
  /** When the composite alarm went to the state whose actions are in question. */
  readonly changedAtMs: number;
  /** How long actions wait for the suppressor to go to ALARM. */
  readonly waitMs: number;
  /** How long they wait after it left. */
  readonly extensionMs: number;
  readonly nowMs: number;
}

/** @returns until when at the most, where that is known. */
export function suppressionOf({
  suppressor,
  changedAtMs,
  waitMs,
  extensionMs,
  nowMs,
}: SuppressionInput): { readonly by: SuppressedBy; readonly untilMs?: number } | undefined {
  if (suppressor === undefined) return undefined;
  if (suppressor.state === 'ALARM') return { by: 'Alarm' };
  const extendedUntilMs = suppressor.changedAtMs + extensionMs;
  // Only one that has been in ALARM leaves something to extend; its first state has lasted since it was made.
  if (nowMs < extendedUntilMs && suppressor.state === 'OK') {
    return { by: 'ExtensionPeriod', untilMs: extendedUntilMs };
  }
  const waitedUntilMs = changedAtMs + waitMs;
  if (nowMs < waitedUntilMs) return { by: 'WaitPeriod', untilMs: waitedUntilMs };
  return undefined;
}
