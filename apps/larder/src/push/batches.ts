/** (pure) What is sent in one request: CloudWatch's bounds, and room to spare below them. */
import type { MetricDatum } from '@aws-sdk/client-cloudwatch';

export const mostMetricsOfRequest = 1_000;
/** Of a request before it is compressed; CloudWatch takes 1 MB. */
export const mostBytesOfRequest = 800_000;

/** In their order; none empty. A datum alone is sent whatever its size. */
export function batchesOf(
  data: readonly MetricDatum[],
  mostMetrics = mostMetricsOfRequest,
  mostBytes = mostBytesOfRequest,
): MetricDatum[][] {
  const batches: MetricDatum[][] = [];
  let batch: MetricDatum[] = [];
  let sizeBytes = 0;
  for (const datum of data) {
    const bytes = Buffer.byteLength(JSON.stringify(datum));
    if (batch.length > 0 && (batch.length >= mostMetrics || sizeBytes + bytes > mostBytes)) {
      batches.push(batch);
      batch = [];
      sizeBytes = 0;
    }
    batch.push(datum);
    sizeBytes += bytes;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
