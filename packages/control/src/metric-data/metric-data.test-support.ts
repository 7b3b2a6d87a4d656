/** Tests only: the operations on data over a store in memory and a clock that stands still. */
import { memoryMetricStore } from '@larder/metrics/memory-metric-store';
import type { MetricDataContext } from './metric-data.ts';
import { type PutRates, putLimits, usualRates } from './put-limits.ts';

export const nowMs = Date.parse('2026-11-24T10:00:00Z');
export const minute = 60_000;
export const ago = (minutes: number) => new Date(nowMs - minutes * minute);
export const caller = { accountId: '000000000000', region: 'us-east-1' };

export function dataContext(rates: Partial<PutRates> = {}): MetricDataContext & { clock: { ms: number } } {
  const metrics = memoryMetricStore();
  const clock = { ms: nowMs };
  const now = () => clock.ms;
  const limits = putLimits(metrics, now, () => true, { ...usualRates, ...rates });
  return { metrics, nowMs: now, limits, clock };
}

export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    return (error as { code: string }).code;
  }
}
