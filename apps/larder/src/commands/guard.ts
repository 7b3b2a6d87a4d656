/** `larder guard`: takes writes away from this host's primaries when the agent can't. The agent starts it. */
import { existsSync } from 'node:fs';
import { networkOf } from '@larder/fleet/agent/agent';
import { fenceNode } from '@larder/fleet/agent/fence-node';
import { type GuardedNode, guard, readGuarded } from '@larder/fleet/agent/guard';
import { readMembership } from '@larder/fleet/agent/membership';
import { nodeSecrets } from '@larder/fleet/node-secrets';
import { AlreadyRuns, lockProcess } from '@larder/fleet/process-lock';
import { ended } from '../ended.ts';

const lookEveryMs = 2_000;
/** From the fence until another host may have the endpoints; as long they refuse here, instead of leading nowhere. */
const endpointLingerMs = 1_500;

/** Resolves after SIGTERM or SIGINT, when its directory was removed, or at once when another guard is at work. */
export async function runGuard(directory: string): Promise<void> {
  const say = (text: string) => void process.stderr.write(`${new Date().toISOString()} ${text}\n`);
  const lock = await lockProcess('guard', directory).catch((error: Error) => {
    if (error instanceof AlreadyRuns) return undefined;
    throw error;
  });
  if (lock === undefined) return;
  const membership = await readMembership(directory);
  if (membership === undefined) throw new Error(`${directory} is not of a host that joined.`);
  const onProblem = (error: Error) => say(error.message);
  const network = networkOf(membership, onProblem);
  const secrets = nodeSecrets(membership.fleetKey);
  const watching = guard({
    directory,
    async fence(node) {
      const outcome = await fenceNode(node, secrets.admin(node.nodeId));
      if (outcome !== 'replica') giveUpLater(node);
      say(`The agent let the lease of this host end: ${node.nodeId} ${outcome}.`);
    },
    onProblem,
  });
  /** Unless the agent is back by then, and the node serves again. */
  function giveUpLater({ nodeId, untilMs, endpointAddresses }: GuardedNode): void {
    setTimeout(() => {
      const now = readGuarded(directory).find((each) => each.nodeId === nodeId);
      if (now === undefined || now.untilMs <= untilMs) network.release(endpointAddresses).catch(onProblem);
    }, endpointLingerMs);
  }

  await Promise.race([ended(), removed(directory)]);
  watching.close();
  lock.close();
}

function removed(directory: string): Promise<void> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (existsSync(directory)) return;
      clearInterval(timer);
      resolve();
    }, lookEveryMs);
  });
}
