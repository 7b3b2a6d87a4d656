/** `npm run dashboards`: writes the dashboard of Grafana and the rules of Prometheus anew. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { rootFolder } from '../../bench/root-folder.ts';
import { dashboardFiles } from './files.ts';

for (const [path, content] of dashboardFiles()) {
  const file = join(rootFolder, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  process.stdout.write(`${path}\n`);
}
