/** `larder router`: what engines can't do themselves at their addresses, in a process that outlives the service. */
import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { lockProcess } from '@larder/fleet/process-lock';
import { type ControlSocket, serveControlSocket } from '@larder/fleet/router/control-socket';
import { nameServer } from '@larder/fleet/router/dns/name-server';
import { createRouter, type Router } from '@larder/fleet/router/router';
import { sentinelFacade } from '@larder/fleet/router/sentinel/facade';
import { accessKeyLookup } from '../access-keys.ts';
import { ended } from '../ended.ts';

/** A router without routes that nobody has asked anything for so long is not needed. */
const idleEndMs = 5_000;
const lookEveryMs = 2_000;

/**
 * Resolves after SIGTERM or SIGINT, when it had no routes for some seconds and no service beside it, or when its directory
 * was removed.
 * @throws AlreadyRuns when another router serves the directory.
 */
export async function runRouter(dataDirectory: string): Promise<void> {
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
  const place = realpathSync(dataDirectory);
  const lock = await lockProcess('router', place);
  const say = (text: string) => void process.stderr.write(`${new Date().toISOString()} ${text}\n`);
  const lookup = accessKeyLookup(place);
  const router = await createRouter({
    directory: place,
    lookupSecret: async (accessKeyId) => (await lookup(accessKeyId))?.secretAccessKey,
    nowMs: Date.now,
    onProblem: (error) => say(error.message),
  });
  const sentinel = await sentinelFacade({ directory: place, onProblem: (error) => say(error.message) });
  const names = await nameServer({
    directory: place,
    entries: sentinel.masters,
    onProblem: (error) => say(error.message),
  });
  const control = await serveControlSocket(place, router, sentinel, names, Date.now);
  say(`The router serves ${router.stats().length} routes.`);

  const serves = () => sentinel.serves || (names.listening !== undefined && sentinel.knows);

  await Promise.race([ended(), needless(() => (!serves() && isIdle(router, control)) || !existsSync(place))]);
  control.close();
  await names.close();
  await sentinel.close();
  await router.close();
  lock.close();
  say('The router ended.');
}

function isIdle(router: Router, { lastHeardAtMs }: ControlSocket): boolean {
  return router.bound().size === 0 && lastHeardAtMs !== undefined && Date.now() - lastHeardAtMs > idleEndMs;
}

/** A router whose directory was removed can't be told anything any more. */
function needless(isNeedless: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (!isNeedless()) return;
      clearInterval(timer);
      resolve();
    }, lookEveryMs);
    timer.unref();
  });
}
