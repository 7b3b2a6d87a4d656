/** `npm run dashboards`: writes the dashboard of Grafana and the rules of Prometheus anew. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dashboardFiles } from './files.ts';

/** Runs as built: `dist/tools/dashboards/main.js`. */
const rootFolder = fileURLToPath(new URL('../../..', import.meta.url));

for (const [path, content] of dashboardFiles()) {
  const file = join(rootFolder, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  process.stdout.write(`${path}\n`);
}
