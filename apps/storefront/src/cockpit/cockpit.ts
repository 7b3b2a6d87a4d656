/** The cockpit's server: one page, one stream, five buttons. For this machine's browser only. */
import { readFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import type { Market } from '../sale/market.ts';
import { modes } from '../sale/report.ts';
import type { Stage } from '../scenario/stage.ts';
import { type Conductor, NotNow, startConductor } from './conductor.ts';
import { liveStream } from './live-stream.ts';

export interface CockpitOptions {
  readonly stage: Stage;
  readonly market: Market;
  /** The next free one is taken when it is in use. */
  readonly port: number;
  readonly pagesPerSecond: number;
  readonly seed: number;
}

export interface Cockpit {
  readonly url: string;
  /** One of the scenario's processes ended unasked. */
  readonly processDied: (why: string) => void;
  close(): Promise<void>;
}

const portTries = 20;
// Not beside this file when it was compiled: the page is served as it was written.
const pageDirectory = fileURLToPath(new URL('../../src/cockpit/page/', import.meta.url));
const chartDirectory = join(dirname(createRequire(import.meta.url).resolve('uplot/package.json')), 'dist');

const files: Readonly<Record<string, readonly [path: string, type: string]>> = {
  '/': [join(pageDirectory, 'cockpit.html'), 'text/html; charset=utf-8'],
  '/cockpit.css': [join(pageDirectory, 'cockpit.css'), 'text/css; charset=utf-8'],
  '/cockpit.js': [join(pageDirectory, 'cockpit.js'), 'text/javascript; charset=utf-8'],
  '/charts.js': [join(pageDirectory, 'charts.js'), 'text/javascript; charset=utf-8'],
  '/uplot.css': [join(chartDirectory, 'uPlot.min.css'), 'text/css; charset=utf-8'],
  '/uplot.js': [join(chartDirectory, 'uPlot.esm.js'), 'text/javascript; charset=utf-8'],
};

const headers = {
  'cache-control': 'no-cache',
  'content-security-policy':
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-src http://127.0.0.1:*; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
};

export async function startCockpit(options: CockpitOptions): Promise<Cockpit> {
  const stream = liveStream();
  const conductor = await startConductor({
    ...options,
    onState: (state) => stream.publish({ type: 'state', state }),
    onPoint: (point) => stream.publish({ type: 'point', point }),
    onEvent: (event) => stream.publish({ type: 'event', event }),
  });
  const port = await freePortFrom(options.port);
  const app = cockpitApp(conductor, stream, port);
  const server = await new Promise<Server>((resolve, reject) => {
    const listening = serve({ fetch: app.fetch, hostname: '127.0.0.1', port }, () =>
      resolve(listening as Server),
    );
    listening.once('error', reject);
  });
  return {
    url: `http://127.0.0.1:${port}`,
    processDied: (why) => conductor.report(why),
    async close() {
      stream.close();
      await conductor.close();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

export function cockpitApp(conductor: Conductor, stream: ReturnType<typeof liveStream>, port: number): Hono {
  const app = new Hono();
  const ownHosts = new Set([`127.0.0.1:${port}`, `localhost:${port}`]);

  // A name from elsewhere that resolves to this machine must not reach the buttons.
  app.use(async (c, next) => {
    if (!ownHosts.has(c.req.header('host') ?? '')) return c.text('This page is for this machine only.', 421);
    return next();
  });

  for (const [path, [file, type]] of Object.entries(files)) {
    app.get(path, async (c) =>
      c.body(await readFile(file, 'utf8'), 200, { ...headers, 'content-type': type }),
    );
  }
  app.get('/state', (c) => c.json(conductor.state));
  app.get('/live', (c) =>
    c.body(stream.open(c.req.header('last-event-id')), 200, {
      ...headers,
      'content-type': 'text/event-stream',
      'x-accel-buffering': 'no',
    }),
  );

  app.post('/sale/start', (c) => press(c, () => conductor.startSale()));
  app.post('/sale/stop', (c) => press(c, () => conductor.stopSale()));
  app.post('/mode/:mode', async (c) => {
    const mode = modes.find((one) => one === c.req.param('mode'));
    if (mode === undefined) return c.json({ problem: 'There is no such mode.' }, 404);
    return press(c, () => conductor.setMode(mode));
  });
  app.post('/price', (c) => press(c, () => conductor.changePrice()));
  app.post('/kill', (c) => press(c, () => conductor.killPrimary()));
  return app;
}

async function press(c: Context, work: () => Promise<unknown>): Promise<Response> {
  // Browsers say where a request came from; another site's page must not press buttons here.
  const site = c.req.header('sec-fetch-site');
  const origin = c.req.header('origin');
  const foreign =
    site !== undefined
      ? site !== 'same-origin'
      : origin !== undefined && origin !== `http://${c.req.header('host')}`;
  if (foreign) return c.json({ problem: 'Only the cockpit itself may do that.' }, 403);
  try {
    return c.json((await work()) ?? {});
  } catch (error) {
    return c.json({ problem: (error as Error).message }, error instanceof NotNow ? 409 : 500);
  }
}

async function freePortFrom(first: number): Promise<number> {
  for (let port = first; port < first + portTries && port <= 65_535; port += 1) {
    const free = await new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error(`No free port from ${first} to ${first + portTries - 1}. Choose another with --port.`);
}
