/** What is written down of commands, compared with what every engine here says of its own. */
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { installedServers, startEngine } from '../../../../testing/engine.ts';
import { classOfCommand } from './command-classes.ts';

type Command = [name: string, arity: number, flags: string[], firstKey: number, ...rest: unknown[]];

test('every command of every engine is known for what it is', async () => {
  for (const { engine, version } of await installedServers()) {
    const node = await startEngine(engine, [], version);
    const client = new Redis(node.port, node.host);
    try {
      const commands = (await client.call('COMMAND')) as Command[];
      expect(commands.length).toBeGreaterThan(200);
      const flat = commands.flatMap((command) => {
        const subcommands = (command[9] ?? []) as Command[];
        return subcommands.length > 0 ? subcommands : [command];
      });
      for (const [name, , flags, firstKey] of flat) {
        const access = flags.includes('write') ? 'write' : flags.includes('readonly') ? 'read' : undefined;
        const hasKey = firstKey !== 0 || flags.includes('movablekeys');
        expect({ version, name, ...classOfCommand(name), family: undefined }).toEqual({
          version,
          name,
          family: undefined,
          ...(access !== undefined && { access }),
          hasKey,
        });
      }
    } finally {
      client.disconnect();
      await node.stop();
    }
  }
});
