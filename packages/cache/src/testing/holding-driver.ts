/** A driver whose replies a test can hold back after the engine has executed the command. */
import type { Driver } from '../driver/driver.ts';

export interface HoldingDriver {
  readonly driver: Driver;
  /** From now on replies to this command wait for what `until` gives. */
  hold(command: string, until: (reply: unknown) => Promise<void>): void;
}

export function holdingDriver(inner: Driver): HoldingDriver {
  const held = new Map<string, (reply: unknown) => Promise<void>>();
  return {
    hold: (command, until) => held.set(command, until),
    driver: {
      ...inner,
      openLink(node, events) {
        const link = inner.openLink(node, events);
        return {
          ...link,
          async send(args) {
            const reply = await link.send(args);
            await held.get(args[0]!)?.(reply);
            return reply;
          },
        };
      },
    },
  };
}
