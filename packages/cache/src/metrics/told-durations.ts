/** What a cache tells of single loads and invalidations, for histograms. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { TelemetryMessages } from '../telemetry.ts';

export interface DurationListener {
  readonly load: (definition: string, outcome: string, seconds: number) => void;
  readonly invalidation: (lagSeconds: number) => void;
}

/** @returns the way to stop. Costs nothing until it is called, and a message a load from then on. */
export function onDurations(cache: string, { load, invalidation }: DurationListener): () => void {
  const loaded = (message: unknown) => {
    const told = message as TelemetryMessages['load'] & { readonly cache: string };
    if (told.cache === cache) load(told.definition, told.outcome, told.durationMs / 1_000);
  };
  const invalidated = (message: unknown) => {
    const told = message as TelemetryMessages['invalidation'] & { readonly cache: string };
    // Two machines' clocks may differ by more than it took.
    if (told.cache === cache) invalidation(Math.max(0, told.lagMs / 1_000));
  };
  subscribe('larder:cache:load', loaded);
  subscribe('larder:cache:invalidation', invalidated);
  return () => {
    unsubscribe('larder:cache:load', loaded);
    unsubscribe('larder:cache:invalidation', invalidated);
  };
}
