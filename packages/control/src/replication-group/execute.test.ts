import { describe, expect, test } from 'vitest';
import { type ExecuteDeps, execute } from './execute.ts';
import { clusterGroup } from './group.test-support.ts';
import type { Step } from './step.ts';

const elect: Step = {
  kind: 'elect',
  nodeGroup: '0001',
  member: 'shop-0001-002',
  how: 'vote',
  fence: { kind: 'absent' },
  because: 'its primary is lost',
};

/** Of the executor's surroundings an election needs the one command alone. */
function answering(answer: () => Promise<unknown[]>): { deps: ExecuteDeps; sent: string[] } {
  const sent: string[] = [];
  const command = (_nodeId: string, _order: unknown, commands: readonly (readonly string[])[]) => {
    sent.push(...commands.map((words) => words.join(' ')));
    return answer();
  };
  return { deps: { host: { command } } as unknown as ExecuteDeps, sent };
}

describe('an election', () => {
  const group = clusterGroup();

  test.each([
    'ERR You should send CLUSTER FAILOVER to a replica',
    'ERR You should send CLUSTER FAILOVER to a slave',
  ])('that was won meanwhile is no failure of the pass: %s', async (message) => {
    const { deps, sent } = answering(() => Promise.reject(new Error(message)));
    expect(await execute(deps, group, elect)).toBe(group);
    expect(sent).toEqual(['CLUSTER FAILOVER FORCE']);
  });

  test('that the engine refuses for another reason fails', async () => {
    const message = "ERR I'm a replica but my master is unknown to me";
    const { deps } = answering(() => Promise.reject(new Error(message)));
    await expect(execute(deps, group, elect)).rejects.toThrow(message);
  });
});
