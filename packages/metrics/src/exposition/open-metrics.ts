/** (pure) Metrics as OpenMetrics text, which Prometheus scrapes. */

export type FamilyKind = 'counter' | 'gauge' | 'summary';

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  /** Of a summary its sum and its count. */
  readonly value: number | { readonly sum: number; readonly count: number };
}

export interface MetricFamily {
  /** Without `_total`; ends with the unit when there is one. */
  readonly name: string;
  readonly kind: FamilyKind;
  /** `seconds`, `bytes`, … */
  readonly unit?: string | undefined;
  readonly help: string;
  readonly samples: readonly Sample[];
}

export const openMetricsType = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/** Families without samples are left out. */
export function openMetricsText(families: readonly MetricFamily[]): string {
  const lines: string[] = [];
  for (const { name, kind, unit, help, samples } of families) {
    if (samples.length === 0) continue;
    lines.push(`# TYPE ${name} ${kind}`);
    if (unit !== undefined) lines.push(`# UNIT ${name} ${unit}`);
    lines.push(`# HELP ${name} ${escaped(help)}`);
    for (const { labels, value } of samples) {
      const set = labelSet(labels);
      if (typeof value === 'number') {
        lines.push(`${name}${kind === 'counter' ? '_total' : ''}${set} ${written(value)}`);
      } else {
        lines.push(`${name}_sum${set} ${written(value.sum)}`, `${name}_count${set} ${written(value.count)}`);
      }
    }
  }
  return `${[...lines, '# EOF'].join('\n')}\n`;
}

/** A label without a value is one that is not there. */
function labelSet(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).filter(([, value]) => value !== '');
  if (pairs.length === 0) return '';
  return `{${pairs.map(([name, value]) => `${name}="${escaped(value)}"`).join(',')}}`;
}

function escaped(text: string): string {
  return text.replace(/[\\"\n]/g, (found) => (found === '\n' ? '\\n' : `\\${found}`));
}

function written(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return String(value);
}
