/** What is sent to the shared tier for sessions, boards and the like: commands by name, scripts by theirs. */
import type { Cache } from '../cache.ts';

/** Notes it while `work` runs. */
export async function sentDuring(cache: Cache, work: () => Promise<unknown>): Promise<readonly string[]> {
  const sent: string[] = [];
  const { far } = cache.internals;
  const [send, run] = [far.send.bind(far), far.run.bind(far)];
  far.send = (partition, words) => {
    sent.push(words[0]!);
    return send(partition, words);
  };
  far.run = (partition, script, call) => {
    sent.push(script.name);
    return run(partition, script, call);
  };
  try {
    await work();
    return sent;
  } finally {
    Object.assign(far, { send, run });
  }
}
