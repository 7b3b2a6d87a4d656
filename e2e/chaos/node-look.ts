/** Looking at nodes from the harness itself, where no time is measured. */
import { Redis } from 'ioredis';
import { ask } from '../../testing/ask-engine.ts';
import type { Place } from '../../testing/cache-client.ts';
import { waitFor } from '../../testing/wait-for.ts';
import type { Stage, StageNode } from './stage.ts';

/** `master`, or `slave connected` and the like. */
async function roleOf(node: Place): Promise<string> {
  const role = (await ask(node, ['ROLE'])) as readonly unknown[];
  return role[0] === 'master' ? 'master' : `${role[0]} ${role[3]}`;
}

/** @throws when there is not one primary. */
export async function primaryOf({ nodes }: Pick<Stage, 'nodes'>, shard = 0): Promise<StageNode> {
  const members = nodes.filter((node) => node.shard === shard);
  const roles = await Promise.all(members.map((node) => roleOf(node).catch(String)));
  const [primary, ...more] = members.filter((_, index) => roles[index] === 'master');
  if (primary === undefined || more.length > 0)
    throw new Error(`Roles of shard ${shard}: ${roles.join(', ')}`);
  return primary;
}

/** One primary a shard, everybody else in sync with it: a write of now reaches them all. */
export async function shardsWhole(
  { nodes, tags }: Pick<Stage, 'nodes' | 'tags'>,
  limitMs: number,
): Promise<void> {
  const look = async () => {
    for (const [shard, tag] of tags.entries()) {
      const members = nodes.filter((node) => node.shard === shard);
      const roles = (await Promise.all(members.map(roleOf))).sort();
      const wanted = ['master', ...Array(members.length - 1).fill('slave connected')];
      if (roles.join() !== wanted.join()) return `shard ${shard}: ${roles.join(', ')}`;
      if (members.length === 1) continue;
      const reached = await writeAndWait(await primaryOf({ nodes }, shard), tag, members.length - 1);
      if (reached < members.length - 1) return `shard ${shard}: a write reached ${reached} replicas`;
    }
    return 'whole';
  };
  await waitFor(look, (seen) => seen === 'whole', {
    what: 'every shard to be whole',
    everyMs: 50,
    limitMs,
  });
}

async function writeAndWait({ host, port }: Place, tag: string, replicas: number): Promise<number> {
  const client = new Redis({ host, port, retryStrategy: () => null, commandTimeout: 3_000 });
  client.on('error', () => {});
  try {
    await client.set(`{${tag}}whole`, '1');
    return await client.wait(replicas, 1_000);
  } finally {
    client.disconnect();
  }
}
