/** (pure) What every node has, whatever its engine: processor, memory, network. */
import type { Look } from './look.ts';
import { difference, metric, type NodeMetric, percent, rounded } from './node-metric.ts';

export interface Traffic {
  readonly bytesIn: string;
  readonly bytesOut: string;
  /** Missing: the engine does not count them. */
  readonly packetsIn?: string;
  readonly packetsOut?: string;
  /** Processor time in seconds, of the whole process. */
  readonly cpu: readonly string[];
}

export const engineTraffic: Traffic = {
  bytesIn: 'total_net_input_bytes',
  bytesOut: 'total_net_output_bytes',
  packetsIn: 'total_reads_processed',
  packetsOut: 'total_writes_processed',
  cpu: ['used_cpu_sys', 'used_cpu_user'],
};

export const memcachedTraffic: Traffic = {
  bytesIn: 'bytes_read',
  bytesOut: 'bytes_written',
  cpu: ['rusage_system', 'rusage_user'],
};

/** Counters of the virtual network card; nothing here limits a node's traffic. */
const neverExceeded = [
  'NetworkBandwidthInAllowanceExceeded',
  'NetworkBandwidthOutAllowanceExceeded',
  'NetworkConntrackAllowanceExceeded',
  'NetworkPacketsPerSecondAllowanceExceeded',
  'NetworkLinkLocalAllowanceExceeded',
];

export function hostMetrics({ bytesIn, bytesOut, packetsIn, packetsOut, cpu }: Traffic): NodeMetric[] {
  const share = (bytes: number | undefined, { facts, seconds }: Look) =>
    seconds === undefined ? undefined : percent(bytes, facts.baselineBytesPerSecond * seconds);
  const burst = (bytes: number | undefined, { facts }: Look) => percent(bytes, facts.baselineBytesPerSecond);
  return [
    metric('both', 'Percent', 'CPUUtilization', `${cpu.join(' + ')}, of the node type's vCPUs`, (look) =>
      look.seconds === undefined
        ? undefined
        : percent(cpuSeconds(look, cpu), look.seconds * look.facts.vcpus),
    ),
    metric('both', 'Bytes', 'FreeableMemory', "the node type's memory less VmRSS", ({ now, facts }) => {
      const resident = now('process_resident_bytes');
      return resident === undefined ? undefined : difference(facts.memoryBytes, resident);
    }),
    metric('both', 'Bytes', 'SwapUsage', 'VmSwap of the process', ({ now }) => now('process_swap_bytes')),
    metric('pair', 'Count', 'MajorPageFaults', 'majflt of the process', ({ rise }) =>
      rise('process_major_faults'),
    ),
    metric('both', 'Bytes', 'NetworkBytesIn', bytesIn, ({ rise }) => rise(bytesIn)),
    metric('both', 'Bytes', 'NetworkBytesOut', bytesOut, ({ rise }) => rise(bytesOut)),
    ...neverExceeded.map((name) => metric('both', 'Count', name, '0: traffic is not limited', () => 0)),
    metric(
      'pair',
      'Bytes',
      'NetworkMaxBytesIn',
      `${bytesIn}, the most in a second`,
      ({ bursts }) => bursts?.bytesIn,
    ),
    metric(
      'pair',
      'Bytes',
      'NetworkMaxBytesOut',
      `${bytesOut}, the most in a second`,
      ({ bursts }) => bursts?.bytesOut,
    ),
    metric('pair', 'Percent', 'NetworkBaselineUsageInPercentage', `${bytesIn}, of the node type's`, (look) =>
      share(look.rise(bytesIn), look),
    ),
    metric(
      'pair',
      'Percent',
      'NetworkBaselineUsageOutPercentage',
      `${bytesOut}, of the node type's`,
      (look) => share(look.rise(bytesOut), look),
    ),
    metric(
      'pair',
      'Percent',
      'NetworkBaselineMaxUsageInPercentage',
      'NetworkMaxBytesIn, of the same',
      (look) => burst(look.bursts?.bytesIn, look),
    ),
    metric(
      'pair',
      'Percent',
      'NetworkBaselineMaxUsageOutPercentage',
      'NetworkMaxBytesOut, of the same',
      (look) => burst(look.bursts?.bytesOut, look),
    ),
    ...(packetsIn === undefined || packetsOut === undefined
      ? []
      : [
          metric('both', 'Count', 'NetworkPacketsIn', packetsIn, ({ rise }) => rise(packetsIn)),
          metric('both', 'Count', 'NetworkPacketsOut', packetsOut, ({ rise }) => rise(packetsOut)),
          metric(
            'pair',
            'Count',
            'NetworkMaxPacketsIn',
            `${packetsIn}, the most in a second`,
            ({ bursts }) => bursts?.packetsIn,
          ),
          metric(
            'pair',
            'Count',
            'NetworkMaxPacketsOut',
            `${packetsOut}, the most in a second`,
            ({ bursts }) => bursts?.packetsOut,
          ),
        ]),
  ];
}

function cpuSeconds({ rise }: Look, names: readonly string[]): number | undefined {
  let total = 0;
  for (const name of names) {
    const rose = rise(name);
    if (rose === undefined) return undefined;
    total += rose;
  }
  return total;
}

/** What a second of the look's traffic was. */
export function burstsOf(look: Look, { bytesIn, bytesOut, packetsIn, packetsOut }: Traffic) {
  const perSecond = (name: string | undefined) => {
    const rose = name === undefined ? 0 : look.rise(name);
    return rose === undefined || look.seconds === undefined ? 0 : rounded(Math.round(rose / look.seconds));
  };
  return {
    bytesIn: perSecond(bytesIn),
    bytesOut: perSecond(bytesOut),
    packetsIn: perSecond(packetsIn),
    packetsOut: perSecond(packetsOut),
  };
}
