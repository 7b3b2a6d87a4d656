/** (pure) A dashboard for Grafana: what is looked at first, then every metric of the list, made of the list itself. */
import { familyName, type NodeFamily, nodeFamilies } from '@larder/metrics/exposition/node-families';

interface Panel {
  readonly title: string;
  readonly exprs: readonly (readonly [expr: string, legend: string])[];
  readonly unit: string;
}

const only = '{replication_group=~"$replication_group", cache_cluster=~"$cache_cluster"}';
const legend = '{{cache_cluster}}/{{cache_node}}';
const window = '[$__rate_interval]';
const perSecond = (name: string) => `rate(${familyName(name, 'Count')}_total${only}${window})`;

const overview: readonly Panel[] = [
  { title: 'Nodes', exprs: [[`larder_node_up${only}`, legend]], unit: 'bool_on_off' },
  {
    title: 'Hit rate',
    exprs: [
      [
        `sum by (cache_cluster) (${perSecond('CacheHits')}) / (sum by (cache_cluster) (${perSecond('CacheHits')}) + sum by (cache_cluster) (${perSecond('CacheMisses')}))`,
        '{{cache_cluster}}',
      ],
    ],
    unit: 'percentunit',
  },
  { title: 'Commands', exprs: [[perSecond('ProcessedCommands'), legend]], unit: 'ops' },
  {
    title: 'Latency of reads and writes',
    exprs: ['Read', 'Write'].map((kind) => {
      const name = familyName(`Successful${kind}RequestLatency`, 'Microseconds');
      return [
        `rate(${name}_sum${only}${window}) / rate(${name}_count${only}${window})`,
        `${legend} ${kind.toLowerCase()}s`,
      ];
    }),
    unit: 'µs',
  },
  {
    title: 'Memory',
    exprs: [[`${familyName('DatabaseMemoryUsagePercentage', 'Percent')}${only}`, legend]],
    unit: 'percent',
  },
  {
    title: 'Engine CPU',
    exprs: [[`${familyName('EngineCPUUtilization', 'Percent')}${only}`, legend]],
    unit: 'percent',
  },
  {
    title: 'Replication lag',
    exprs: [[`${familyName('ReplicationLag', 'Seconds')}${only}`, legend]],
    unit: 's',
  },
  {
    title: 'Failovers',
    exprs: [['increase(larder_failovers_total[1h])', '{{replication_group}}']],
    unit: 'short',
  },
  {
    title: 'Alarms',
    exprs: [['larder_alarm_state{state="ALARM"} == 1', '{{alarm}}']],
    unit: 'short',
  },
  {
    title: 'API requests',
    exprs: [
      [`sum by (operation, code) (rate(larder_api_requests_total${window}))`, '{{operation}} {{code}}'],
    ],
    unit: 'reqps',
  },
  {
    title: 'Deliveries of topics',
    exprs: [['larder_topic_deliveries', '{{status}}']],
    unit: 'short',
  },
  {
    title: 'Passes',
    exprs: [
      [
        `sum by (reconciler, outcome) (rate(larder_reconcile_passes_total${window}))`,
        '{{reconciler}} {{outcome}}',
      ],
    ],
    unit: 'ops',
  },
];

const grafanaUnits: Readonly<Record<string, string>> = {
  bytes: 'bytes',
  percent: 'percent',
  seconds: 's',
  milliseconds: 'ms',
  microseconds: 'µs',
};

function panelOf({ name, kind, unit, metricName }: NodeFamily): Panel {
  const shown = grafanaUnits[unit ?? ''] ?? 'short';
  if (kind === 'gauge') return { title: metricName, exprs: [[`${name}${only}`, legend]], unit: shown };
  if (kind === 'counter') {
    const rate = `rate(${name}_total${only}${window})`;
    return { title: metricName, exprs: [[rate, legend]], unit: unit === 'bytes' ? 'Bps' : 'ops' };
  }
  const mean = `rate(${name}_sum${only}${window}) / rate(${name}_count${only}${window})`;
  return { title: `${metricName}, mean`, exprs: [[mean, legend]], unit: shown };
}

const columns = 3;
const size = { w: 24 / columns, h: 8 };

export function grafanaDashboard(): object {
  let id = 0;
  const source = { type: 'prometheus', uid: '$datasource' };
  const place = (panels: readonly Panel[], top: number) =>
    panels.map(({ title, exprs, unit }, index) => ({
      id: ++id,
      type: 'timeseries',
      title,
      datasource: source,
      gridPos: {
        ...size,
        x: (index % columns) * size.w,
        y: top + Math.floor(index / columns) * size.h,
      },
      fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
      options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi' } },
      targets: exprs.map(([expr, legendFormat], at) => ({
        refId: String.fromCharCode(65 + at),
        datasource: source,
        expr,
        legendFormat,
      })),
    }));
  const top = place(overview, 0);
  const below = Math.ceil(overview.length / columns) * size.h;
  return {
    uid: 'larder',
    title: 'Larder',
    tags: ['larder'],
    schemaVersion: 38,
    editable: true,
    refresh: '10s',
    time: { from: 'now-1h', to: 'now' },
    templating: {
      list: [
        { name: 'datasource', type: 'datasource', query: 'prometheus' },
        ...(['replication_group', 'cache_cluster'] as const).map((label) => ({
          name: label,
          type: 'query',
          datasource: source,
          query: { query: `label_values(larder_node_up, ${label})`, refId: label },
          refresh: 2,
          includeAll: true,
          allValue: '.*',
          multi: true,
          current: { text: 'All', value: '$__all' },
        })),
      ],
    },
    panels: [
      ...top,
      {
        id: ++id,
        type: 'row',
        title: 'All metrics of nodes',
        collapsed: true,
        gridPos: { h: 1, w: 24, x: 0, y: below },
        panels: place(nodeFamilies.map(panelOf), below + 1),
      },
    ],
  };
}
