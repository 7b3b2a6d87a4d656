/** An engine on an address that survives it: killed and started again, or replaced by a replica that lags. */
import { command, startEngine, type TestEngine } from '../../testing/engine.ts';
import { waitFor } from '../../testing/wait-for.ts';
import { nowMs, sleep } from '../monotonic.ts';
import type { Span } from './history.ts';

export interface EngineFront {
  readonly host: string;
  readonly port: number;
  /** Of the engine that serves now. */
  readonly pid: number;
  command(...words: string[]): Promise<string>;
  /** SIGKILL, `downMs` of nothing, and an empty engine again. */
  crash(downMs: number): Promise<void>;
  /**
   * A replica stops following, the primary goes on for `lagMs` and is killed, and the replica takes its address:
   * what was confirmed in between is lost. The span reaches from the cut to a second after the take-over.
   */
  failOver(lagMs: number): Promise<Span>;
  stop(): Promise<void>;
}

const repairMs = 1_000;
// A replica that asks for the data gets it at once; by default the primary waits 5 s for more to come.
const engineArguments = ['--repl-diskless-sync-delay', '0'];

export async function startEngineFront(): Promise<EngineFront> {
  let current: TestEngine = await startEngine('valkey', engineArguments);
  const { host, port } = current;
  const front = { host, port };
  const takeAddress = async (): Promise<void> => {
    // The first engine owns the address anyway.
    if (current.host !== host) await command(current, ['CONFIG', 'SET', 'bind', `${current.host} ${host}`]);
  };
  return {
    host,
    port,
    get pid() {
      return current.pid;
    },
    command: (...words) => command(front, words),
    async crash(downMs) {
      await current.kill();
      await sleep(downMs);
      await current.restart();
      await takeAddress();
    },
    async failOver(lagMs) {
      const replica = await startEngine('valkey', engineArguments);
      await command(replica, ['REPLICAOF', host, String(port)]);
      await waitFor(
        () => command(replica, ['INFO', 'replication']),
        (info) => info.includes('master_link_status:up'),
        { what: 'the replica follows its primary', limitMs: 10_000, everyMs: 5 },
      );
      await command(replica, ['REPLICAOF', 'NO', 'ONE']);
      const fromMs = nowMs();
      await sleep(lagMs);
      await current.stop();
      current = replica;
      await takeAddress();
      return { fromMs, toMs: nowMs() + repairMs };
    },
    stop: () => current.stop(),
  };
}
