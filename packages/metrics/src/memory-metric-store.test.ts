import { memoryMetricStore } from './memory-metric-store.ts';
import { metricStoreContract } from './metric-store.test-support.ts';

metricStoreContract(async () => ({ store: memoryMetricStore(), nowMs: 1_800_000_000_000 }));
