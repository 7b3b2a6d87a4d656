/**
 * Metrics and traces over OTLP/HTTP, by OpenTelemetry's own packages: what Prometheus is shown, and spans of requests and of passes
 * with their steps. A collector that is away costs what is queued, and no request waits for it.
 */

import { serviceFamilies } from '@larder/control/exposition/families';
import type { ServedRequest } from '@larder/control/exposition/service-counts';
import type { EndedPass } from '@larder/control/reconciler/driver';
import { nodeFamilies } from '@larder/metrics/exposition/node-families';
import type { FamilyKind, MetricFamily } from '@larder/metrics/exposition/open-metrics';
import {
  type Attributes,
  type BatchObservableResult,
  type Observable,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { OtlpConfig } from './config.ts';

export interface Otlp {
  request(served: ServedRequest): void;
  pass(pass: EndedPass): void;
  /** Sends what is left, for a moment. */
  stop(): Promise<void>;
}

/** As OpenTelemetry writes them. */
const units: Readonly<Record<string, string>> = {
  bytes: 'By',
  percent: '%',
  seconds: 's',
  milliseconds: 'ms',
  microseconds: 'us',
};
const lastSendMs = 2_000;

/** @param exposition what is measured now. */
export function startOtlp(
  { endpoint, exportIntervalMs }: OtlpConfig,
  exposition: () => Promise<MetricFamily[]>,
): Otlp {
  const base = endpoint.replace(/\/+$/, '');
  const resource = resourceFromAttributes({ 'service.name': 'larder', 'service.version': '0.1.0' });
  const meters = new MeterProvider({
    resource,
    readers: [
      new PeriodicExportingMetricReader({
        exporter: new OTLPMetricExporter({ url: `${base}/v1/metrics` }),
        exportIntervalMillis: exportIntervalMs,
        exportTimeoutMillis: Math.min(exportIntervalMs, 10_000),
      }),
    ],
  });
  observe(meters, exposition);
  const tracers = new TracerProvider({
    resource,
    spanProcessors: [
      new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url: `${base}/v1/traces` }) }),
    ],
  });
  const tracer = tracers.getTracer('larder');

  interface SpanAsked {
    readonly name: string;
    readonly kind?: SpanKind;
    readonly startedAtMs: number;
    readonly durationMs: number;
    readonly attributes: Attributes;
    readonly failed: boolean;
  }
  /** @returns the context for spans below it. */
  function record(asked: SpanAsked, parent = ROOT_CONTEXT) {
    const span = tracer.startSpan(
      asked.name,
      { kind: asked.kind ?? SpanKind.INTERNAL, startTime: asked.startedAtMs, attributes: asked.attributes },
      parent,
    );
    if (asked.failed) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(asked.startedAtMs + asked.durationMs);
    return trace.setSpan(parent, span);
  }

  return {
    request({ requestId, operation, code, startedAtMs, durationMs }) {
      record({
        name: operation,
        kind: SpanKind.SERVER,
        startedAtMs,
        durationMs,
        attributes: { 'aws.request_id': requestId, 'rpc.method': operation, 'larder.code': code },
        failed: code !== 'OK',
      });
    },
    pass({ reconciler, id, outcome, startedAtMs, durationMs, steps }) {
      // Most find nothing to do: they would only hide the others.
      if (steps.length === 0 && outcome !== 'failed') return;
      const context = record({
        name: `pass ${reconciler}`,
        startedAtMs,
        durationMs,
        attributes: { 'larder.resource': id, 'larder.outcome': outcome },
        failed: outcome === 'failed',
      });
      for (const { kind, ...step } of steps) {
        record({ ...step, name: `step ${kind}`, attributes: { 'larder.resource': id } }, context);
      }
    },
    async stop() {
      const sent = Promise.allSettled([meters.shutdown(), tracers.shutdown()]);
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, lastSendMs);
      });
      await Promise.race([sent, late]);
      clearTimeout(timer);
    },
  };
}

function observe(meters: MeterProvider, exposition: () => Promise<MetricFamily[]>): void {
  const meter = meters.getMeter('larder');
  const instruments = new Map<string, Observable>();
  const add = (name: string, kind: FamilyKind, unit: string | undefined, description: string) => {
    const options = { description, ...(unit !== undefined && { unit: units[unit] ?? unit }) };
    instruments.set(
      name,
      kind === 'gauge'
        ? meter.createObservableGauge(name, options)
        : meter.createObservableCounter(name, options),
    );
  };
  const families: readonly Omit<MetricFamily, 'samples'>[] = [
    ...nodeFamilies,
    ...Object.values(serviceFamilies),
  ];
  for (const { name, kind, unit, help } of families) {
    if (kind !== 'summary') add(name, kind, unit, help);
    else {
      // OpenTelemetry makes no summaries: their parts rise, each by itself.
      add(`${name}_sum`, 'counter', unit, help);
      add(`${name}_count`, 'counter', undefined, help);
    }
  }
  meter.addBatchObservableCallback(
    async (result: BatchObservableResult) => {
      for (const { name, samples } of await exposition()) {
        for (const { labels, value } of samples) {
          const attributes = Object.fromEntries(Object.entries(labels).filter(([, text]) => text !== ''));
          if (typeof value === 'number') result.observe(instruments.get(name)!, value, attributes);
          else {
            result.observe(instruments.get(`${name}_sum`)!, value.sum, attributes);
            result.observe(instruments.get(`${name}_count`)!, value.count, attributes);
          }
        }
      }
    },
    [...instruments.values()],
  );
}
