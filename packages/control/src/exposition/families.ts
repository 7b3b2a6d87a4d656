/** (pure) The families of the service itself, as dashboards and rules name them. */
import type { FamilyKind } from '@larder/metrics/exposition/open-metrics';

interface Described {
  readonly name: string;
  readonly kind: FamilyKind;
  readonly unit?: string;
  readonly help: string;
}

export const serviceFamilies = {
  nodeUp: {
    name: 'larder_node_up',
    kind: 'gauge',
    help: 'Whether the node was read in the last look; without a sample it is not known.',
  },
  looked: {
    name: 'larder_collector_last_look_timestamp_seconds',
    kind: 'gauge',
    unit: 'seconds',
    help: 'When nodes were read last, in seconds since 1970.',
  },
  alarmState: {
    name: 'larder_alarm_state',
    kind: 'gauge',
    help: 'Alarms of CloudWatch: 1 for the state that it is in, 0 for the others.',
  },
  requests: {
    name: 'larder_api_requests',
    kind: 'counter',
    help: 'Requests to the API by operation and by the code of their answer.',
  },
  requestDuration: {
    name: 'larder_api_request_duration_seconds',
    kind: 'summary',
    unit: 'seconds',
    help: 'How long requests to the API took.',
  },
  passes: {
    name: 'larder_reconcile_passes',
    kind: 'counter',
    help: 'Passes over resources, by how they ended: again, waiting, settled, gone, failed.',
  },
  failovers: {
    name: 'larder_failovers',
    kind: 'counter',
    help: 'Changes of a primary since the service started.',
  },
  events: {
    name: 'larder_events',
    kind: 'counter',
    help: 'Events since the service started, by what they are about.',
  },
  deliveries: {
    name: 'larder_topic_deliveries',
    kind: 'gauge',
    help: 'Deliveries of topics that wait, and those that were given up.',
  },
  residentMemory: {
    name: 'larder_process_resident_memory_bytes',
    kind: 'gauge',
    unit: 'bytes',
    help: 'Memory of the service itself.',
  },
  processCpu: {
    name: 'larder_process_cpu_seconds',
    kind: 'counter',
    unit: 'seconds',
    help: 'Processor time of the service itself.',
  },
} as const satisfies Readonly<Record<string, Described>>;
