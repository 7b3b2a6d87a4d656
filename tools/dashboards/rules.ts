/** (pure) Alert rules for Prometheus: what the recommended alarms are for CloudWatch, and what is to be known of the service. */
import { familyName } from '@larder/metrics/exposition/node-families';

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  /** How long it must hold. */
  readonly for: string;
  readonly severity: 'info' | 'warning' | 'critical';
  readonly summary: string;
  readonly description: string;
}

export interface RuleGroup {
  readonly name: string;
  readonly rules: readonly AlertRule[];
}

const percent = (name: string) => familyName(name, 'Percent');
const total = (name: string) => `${familyName(name, 'Count')}_total`;
const node = '{{ $labels.cache_cluster }}/{{ $labels.cache_node }}';
const cluster = 'replication_group, cache_cluster, cache_node';

export const ruleGroups: readonly RuleGroup[] = [
  {
    name: 'larder-nodes',
    rules: [
      {
        alert: 'LarderNodeDown',
        expr: 'larder_node_up == 0',
        for: '1m',
        severity: 'critical',
        summary: `Node ${node} is not read`,
        description: 'It is to serve, and does not answer the service. See larder events.',
      },
      {
        alert: 'LarderEngineCpuHigh',
        expr: `${percent('EngineCPUUtilization')} > 90`,
        for: '5m',
        severity: 'warning',
        summary: `The engine of ${node} is busy for {{ $value | humanize }} %`,
        description: 'Its main thread has one core. Add shards, or spread reads over replicas.',
      },
      {
        alert: 'LarderCpuHigh',
        expr: `${percent('CPUUtilization')} > 90`,
        for: '5m',
        severity: 'warning',
        summary: `${node} uses {{ $value | humanize }} % of its vCPUs`,
        description: 'A larger node type, or more nodes.',
      },
      {
        alert: 'LarderMemoryHigh',
        expr: `${percent('DatabaseMemoryUsageCountedForEvictPercentage')} > 80`,
        for: '5m',
        severity: 'warning',
        summary: `The memory of ${node} is {{ $value | humanize }} % full`,
        description: 'At 100 % keys are evicted or writes refused, by maxmemory-policy.',
      },
      {
        alert: 'LarderSwapping',
        expr: `${familyName('SwapUsage', 'Bytes')} > ${familyName('FreeableMemory', 'Bytes')} and ${familyName('SwapUsage', 'Bytes')} > 52428800`,
        for: '5m',
        severity: 'warning',
        summary: `${node} has {{ $value | humanize1024 }}B in swap`,
        description: 'The machine has less memory than its nodes were promised.',
      },
      {
        alert: 'LarderConnectionsHigh',
        expr: `${familyName('CurrConnections', 'Count')} > 58500`,
        for: '10m',
        severity: 'warning',
        summary: `${node} has {{ $value }} connections`,
        description: 'ElastiCache allows 65,000 to a node.',
      },
      {
        alert: 'LarderConnectionsRejected',
        expr: `increase(${total('RejectedConnections')}[5m]) > 0`,
        for: '0m',
        severity: 'warning',
        summary: `${node} refused connections`,
        description: 'maxclients was reached.',
      },
      {
        alert: 'LarderReplicationLagHigh',
        expr: `${familyName('ReplicationLag', 'Seconds')} > 10`,
        for: '5m',
        severity: 'warning',
        summary: `${node} is {{ $value | humanizeDuration }} behind its primary`,
        description: 'A failover to it would lose what it does not have.',
      },
      {
        alert: 'LarderReplicaUnlinked',
        expr: `${familyName('MasterLinkHealthStatus', 'Count')} == 0`,
        for: '2m',
        severity: 'critical',
        summary: `${node} has no link to its primary`,
        description: 'It can not take over without losing writes.',
      },
      {
        alert: 'LarderEvictions',
        expr: `rate(${total('Evictions')}[5m]) > 0`,
        for: '15m',
        severity: 'info',
        summary: `${node} evicts {{ $value | humanize }} keys a second`,
        description: 'Its data does not fit: fine for a cache, unless hits suffer.',
      },
      {
        alert: 'LarderHitRateLow',
        expr:
          `sum by (${cluster}) (rate(${total('CacheHits')}[10m])) / ` +
          `(sum by (${cluster}) (rate(${total('CacheHits')}[10m])) + sum by (${cluster}) (rate(${total('CacheMisses')}[10m])) > 10) < 0.8`,
        for: '15m',
        severity: 'info',
        summary: `{{ $value | humanizePercentage }} of reads of ${node} hit`,
        description: 'Of at least ten reads a second.',
      },
      {
        alert: 'LarderAuthenticationFailures',
        expr: `increase(${total('AuthenticationFailures')}[5m]) > 0`,
        for: '0m',
        severity: 'warning',
        summary: `Logins to ${node} failed`,
        description: 'A client has a wrong password, or somebody guesses.',
      },
      {
        alert: 'LarderAuthorizationFailures',
        expr: `increase(${total('CommandAuthorizationFailures')}[5m]) + increase(${total('KeyAuthorizationFailures')}[5m]) > 0`,
        for: '0m',
        severity: 'warning',
        summary: `Users of ${node} were refused commands or keys`,
        description: 'See ACL LOG of the node.',
      },
    ],
  },
  {
    name: 'larder-service',
    rules: [
      {
        alert: 'LarderNotLooking',
        expr: 'time() - larder_collector_last_look_timestamp_seconds > 30',
        for: '1m',
        severity: 'critical',
        summary: 'Larder has not read its nodes for {{ $value | humanizeDuration }}',
        description: 'Metrics, alarms and autoscaling stand still.',
      },
      {
        alert: 'LarderAlarm',
        expr: 'larder_alarm_state{state="ALARM", kind="metric"} == 1',
        for: '0m',
        severity: 'warning',
        summary: 'The alarm {{ $labels.alarm }} is in state ALARM',
        description: 'See aws cloudwatch describe-alarms.',
      },
      {
        alert: 'LarderPassesFail',
        expr: 'sum by (reconciler) (increase(larder_reconcile_passes_total{outcome="failed"}[10m])) > 20',
        for: '10m',
        severity: 'warning',
        summary: 'Passes of {{ $labels.reconciler }} fail again and again',
        description: "The service's log tells why.",
      },
      {
        alert: 'LarderFailover',
        expr: 'increase(larder_failovers_total[10m]) > 0',
        for: '0m',
        severity: 'info',
        summary: '{{ $labels.replication_group }} has a new primary',
        description: 'See larder events.',
      },
      {
        alert: 'LarderDeliveriesGivenUp',
        expr: 'larder_topic_deliveries{status="dead"} > 0',
        for: '5m',
        severity: 'warning',
        summary: '{{ $value }} notifications were given up',
        description: 'See larder topics deliveries; --retry begins again.',
      },
      {
        alert: 'LarderApiFails',
        expr: 'sum(increase(larder_api_requests_total{code="InternalFailure"}[5m])) > 0',
        for: '0m',
        severity: 'warning',
        summary: 'Requests to the API failed with errors of the service itself',
        description: "The service's log has them under their request ids.",
      },
    ],
  },
  {
    name: 'larder-cache-library',
    rules: [
      {
        alert: 'LarderCacheStale',
        expr:
          'sum by (cache) (increase(larder_cache_stale_entries_total[30m])) / ' +
          'sum by (cache) (increase(larder_cache_compared_entries_total[30m])) > 0.001',
        for: '0m',
        severity: 'critical',
        summary:
          '{{ $value | humanizePercentage }} of sampled entries of {{ $labels.cache }} are older than their database',
        description:
          'The objective is 99.9 %: compared and beyond the bound of staleness. See the feed of changes.',
      },
      {
        alert: 'LarderCacheNotCompared',
        expr: 'sum by (cache) (increase(larder_cache_compared_entries_total[30m])) == 0',
        for: '30m',
        severity: 'warning',
        summary: 'Nothing of {{ $labels.cache }} is compared with its database',
        description: 'Whether it is stale is not known.',
      },
    ],
  },
];

/** As YAML that Prometheus reads. */
export function rulesYaml(groups: readonly RuleGroup[]): string {
  const lines = ['# Made by "npm run dashboards"; change tools/dashboards/rules.ts instead.', 'groups:'];
  for (const { name, rules } of groups) {
    lines.push(`  - name: ${name}`, '    rules:');
    for (const rule of rules) {
      lines.push(
        `      - alert: ${rule.alert}`,
        `        expr: ${JSON.stringify(rule.expr)}`,
        `        for: ${rule.for}`,
        '        labels:',
        `          severity: ${rule.severity}`,
        '        annotations:',
        `          summary: ${JSON.stringify(rule.summary)}`,
        `          description: ${JSON.stringify(rule.description)}`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}
