/** The promise: metrics and traces go to a collector of OpenTelemetry over HTTP, and a collector that is away disturbs nobody. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DescribeReplicationGroupsCommand } from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createGroup, groupAvailable } from '../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { redisClients } from '../testing/redis-clients.ts';
import { waitFor } from '../testing/wait-for.ts';

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string };
}
interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Attribute[];
}
interface DataPoint {
  readonly attributes: readonly Attribute[];
  readonly asDouble?: number;
  readonly asInt?: number | string;
}
interface Metric {
  readonly name: string;
  readonly unit?: string;
  readonly sum?: { readonly isMonotonic: boolean; readonly dataPoints: readonly DataPoint[] };
  readonly gauge?: { readonly dataPoints: readonly DataPoint[] };
}

const clients = redisClients();
const spans: Span[] = [];
let metrics = new Map<string, Metric>();
let collector: Server;
let larder: TestLarder;

beforeAll(async () => {
  collector = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString());
      if (request.url === '/v1/traces') {
        for (const resource of body.resourceSpans) {
          for (const scope of resource.scopeSpans) spans.push(...scope.spans);
        }
      } else if (request.url === '/v1/metrics') {
        const all = body.resourceMetrics.flatMap((each: { scopeMetrics: { metrics: Metric[] }[] }) =>
          each.scopeMetrics.flatMap((scope) => scope.metrics),
        ) as Metric[];
        metrics = new Map(all.map((metric) => [metric.name, metric]));
      }
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  const { port } = collector.address() as AddressInfo;
  larder = await startLarder({
    environment: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_METRIC_EXPORT_INTERVAL: '500',
      OTEL_BSP_SCHEDULE_DELAY: '200',
    },
  });
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
  collector.closeAllConnections();
  collector.close();
});

const attributesOf = ({ attributes }: { readonly attributes: readonly Attribute[] }) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue]));

test('what was done is in spans, each step below its pass, and what is measured in metrics', async () => {
  await createGroup(larder, 'traced', { NumCacheClusters: 2 });
  const group = await groupAvailable(larder, 'traced');
  const client = clients.to(group.NodeGroups![0]!.PrimaryEndpoint!);

  const request = await waitFor(
    () => spans.find(({ name }) => name === 'CreateReplicationGroup'),
    (found) => found !== undefined,
    { what: 'the span of the request' },
  );
  expect(attributesOf(request!)).toMatchObject({
    'aws.request_id': expect.stringMatching(/^[0-9a-f-]{36}$/),
    'larder.code': 'OK',
  });
  expect(BigInt(request!.endTimeUnixNano) > BigInt(request!.startTimeUnixNano)).toBe(true);
  const start = await waitFor(
    () => spans.find(({ name }) => name === 'step start-node'),
    (found) => found !== undefined,
    { what: 'the span of a step' },
  );
  const pass = spans.find(({ spanId }) => spanId === start!.parentSpanId);
  expect(pass).toMatchObject({ name: 'pass replication-group', traceId: start!.traceId });
  expect(attributesOf(pass!)).toMatchObject({ 'larder.resource': 'traced', 'larder.outcome': 'again' });
  expect(BigInt(start!.startTimeUnixNano) >= BigInt(pass!.startTimeUnixNano)).toBe(true);

  const hits = () =>
    metrics
      .get('larder_cache_hits')
      ?.sum?.dataPoints.find((point) => attributesOf(point).cache_cluster === 'traced-001');
  // What was counted before a node was read first is not known.
  await waitFor(hits, (found) => found !== undefined, { what: 'the node to be read' });
  await client.set('a', '1');
  for (let index = 0; index < 40; index += 1) await client.get('a');
  const point = await waitFor(hits, (found) => Number(found?.asInt ?? found?.asDouble) === 40, {
    what: 'the hits to be counted',
  });
  expect(attributesOf(point!)).toEqual({
    replication_group: 'traced',
    node_group: '0001',
    cache_cluster: 'traced-001',
    cache_node: '0001',
    role: 'primary',
  });
  expect(metrics.get('larder_cache_hits')!.sum!.isMonotonic).toBe(true);
  expect(metrics.get('larder_used_for_cache_bytes')).toMatchObject({ unit: 'By', gauge: expect.anything() });
});

test('a collector that is away disturbs nobody', async () => {
  collector.closeAllConnections();
  await new Promise<void>((resolve) => collector.close(() => resolve()));
  const { ReplicationGroups } = await larder.client.send(new DescribeReplicationGroupsCommand({}));
  expect(ReplicationGroups).toHaveLength(1);
  expect(await larder.terminate()).toBe(0);
});
