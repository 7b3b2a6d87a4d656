/** The load generator's process. Its parent is its only user; when the parent is gone, it ends. */
import { runBurst } from './burst.ts';
import type { FromGenerator, ToGenerator } from './generator-messages.ts';
import { type OpenLoop, startOpenLoop } from './open-loop.ts';

function say(message: FromGenerator): void {
  process.send?.(message);
}

let running: OpenLoop | undefined;

process.on('message', (message: ToGenerator) => {
  switch (message.type) {
    case 'sale':
      running = startOpenLoop(message.sale, {
        tick: (tick) => say({ type: 'tick', tick }),
        measuring: (atMs) => say({ type: 'measuring', atMs }),
      });
      void running.ended.then((totals) => {
        running = undefined;
        say({ type: 'sale-ended', totals });
      });
      return;
    case 'burst':
      void runBurst(message.burst).then((result) => say({ type: 'burst-ended', result }));
      return;
    case 'stop':
      running?.stop();
  }
});
process.once('disconnect', () => process.exit(0));
process.once('SIGTERM', () => process.exit(0));
say({ type: 'ready' });
