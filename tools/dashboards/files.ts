/** (pure) What is generated, by its place in the repository. */
import { grafanaDashboard } from './grafana.ts';
import { ruleGroups, rulesYaml } from './rules.ts';

export function dashboardFiles(): ReadonlyMap<string, string> {
  return new Map([
    ['deploy/prometheus/larder.rules.yml', rulesYaml(ruleGroups)],
    ['deploy/grafana/larder.json', `${JSON.stringify(grafanaDashboard(), null, 2)}\n`],
  ]);
}
