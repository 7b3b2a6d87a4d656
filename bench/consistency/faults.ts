/**
 * What goes wrong during a history, on purpose. Two saboteurs work at the same time: one on the database, one on
 * the engine and the invalidators, each through a shuffled deck, so that every fault meets every other one.
 */
import type pg from 'pg';
import { sleep } from '../monotonic.ts';
import { holdCommits } from './commit-gap.ts';
import type { EngineFront } from './engine-front.ts';
import type { Span, WriteRecord } from './history.ts';
import type { InvalidatorPair } from './invalidator-pair.ts';
import { type ItemTable, keyPlan } from './item-table.ts';

export interface Scene {
  readonly engine: EngineFront;
  readonly invalidators: InvalidatorPair;
  readonly table: ItemTable;
  /** Connections that no fault kills. */
  readonly admin: pg.Pool;
  readonly slot: string;
  readonly random: () => number;
  readonly record: (writes: readonly WriteRecord[]) => void;
  readonly loseConfirmations: (span: Span) => void;
}

export interface Fault {
  readonly name: string;
  /** Resolves when it is healed. A rejection counts as not done. */
  run(scene: Scene): Promise<void>;
}

const between = ({ random }: Scene, leastMs: number, mostMs: number): number =>
  leastMs + random() * (mostMs - leastMs);

const slowKey = ({ random }: Scene): number => {
  const { from, to } = keyPlan.slow;
  return from + Math.floor(random() * (to - from + 1));
};

/** Everybody's sessions but our own. */
const cut = (admin: pg.Pool, condition: string): Promise<unknown> =>
  admin.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE pid <> pg_backend_pid() AND application_name <> 'saboteur' AND ${condition}`,
  );

const cutStream = ({ admin, slot }: Scene): Promise<unknown> =>
  admin.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1', [
    slot,
  ]);

export const databaseFaults: readonly Fault[] = [
  {
    name: 'commit waits for a standby: event before visibility',
    async run(scene) {
      const letGo = await holdCommits(scene.admin);
      try {
        const hanging = scene.table.transact(scene.table.update([slowKey(scene)]));
        hanging.then(scene.record, () => {});
        await sleep(between(scene, 80, 400));
      } finally {
        await letGo();
      }
    },
  },
  {
    name: 'transaction left prepared',
    async run(scene) {
      const work = scene.table.update([slowKey(scene)]);
      const hold = (): Promise<void> => sleep(between(scene, 100, 600));
      scene.record(await scene.table.transactInTwoPhases('larder_open', work, hold));
    },
  },
  {
    name: 'transaction left prepared over a new stream',
    async run(scene) {
      const work = scene.table.update([slowKey(scene)]);
      const restart = async (): Promise<void> => {
        await cutStream(scene);
        await sleep(between(scene, 50, 300));
      };
      scene.record(await scene.table.transactInTwoPhases('larder_restarted', work, restart));
    },
  },
  {
    name: 'long write transaction',
    async run(scene) {
      const work = scene.table.update([slowKey(scene)]);
      scene.record(await scene.table.transact(work, () => sleep(between(scene, 300, 1_200))));
    },
  },
  {
    name: 'savepoint rolled back',
    run: async (scene) =>
      scene.record(await scene.table.transact(scene.table.updateAfterRollback(slowKey(scene)))),
  },
  {
    name: 'table truncated and filled again',
    run: async (scene) => scene.record(await scene.table.transact(scene.table.truncate)),
  },
  {
    name: 'bulk change beyond the limit of one transaction',
    async run(scene) {
      const { from, to } = keyPlan.ordinary;
      const keys = Array.from({ length: to - from + 1 }, (_, index) => from + index);
      scene.record(await scene.table.transact(scene.table.update(keys)));
    },
  },
  {
    name: 'database connections cut',
    async run({ admin }) {
      await cut(admin, "backend_type = 'client backend'");
    },
  },
];

export const cacheFaults: readonly Fault[] = [
  {
    name: 'engine killed and started empty',
    run: (scene) => scene.engine.crash(between(scene, 0, 400)),
  },
  {
    name: 'engine fails over to a replica that lags',
    run: async (scene) => scene.loseConfirmations(await scene.engine.failOver(between(scene, 30, 200))),
  },
  {
    name: 'engine flushed',
    async run({ engine }) {
      await engine.command('FLUSHALL');
    },
  },
  {
    name: 'engine paused (CLIENT PAUSE)',
    async run(scene) {
      const ms = Math.round(between(scene, 50, 400));
      await scene.engine.command('CLIENT', 'PAUSE', String(ms), 'ALL');
      await sleep(ms);
    },
  },
  {
    name: 'engine stopped and continued',
    async run(scene) {
      const { pid } = scene.engine;
      process.kill(pid, 'SIGSTOP');
      await sleep(between(scene, 100, 600));
      process.kill(pid, 'SIGCONT');
    },
  },
  {
    name: 'command connections cut',
    async run({ engine }) {
      await engine.command('CLIENT', 'KILL', 'TYPE', 'normal');
    },
  },
  {
    name: 'message connections cut',
    async run({ engine }) {
      await engine.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    },
  },
  {
    name: 'stream cut',
    async run(scene) {
      await cutStream(scene);
    },
  },
  {
    name: 'slot dropped',
    async run(scene) {
      // Between two connections of its consumers there is a moment in which nobody holds it.
      for (let attempt = 0; attempt < 200; attempt += 1) {
        await cutStream(scene);
        try {
          await scene.admin.query('SELECT pg_drop_replication_slot($1)', [scene.slot]);
          return;
        } catch {
          await sleep(1);
        }
      }
      throw new Error('The slot was never free.');
    },
  },
  {
    name: 'invalidator killed, another one takes over',
    async run({ invalidators }) {
      if (!(await invalidators.killActive())) throw new Error('None was active.');
    },
  },
  {
    name: 'all invalidators killed: no feed',
    async run(scene) {
      await scene.invalidators.killAll();
      await sleep(between(scene, 100, 900));
      await scene.invalidators.start();
    },
  },
  {
    name: 'invalidator stopped, replaced, and continued (zombie)',
    async run(scene) {
      const zombie = await scene.invalidators.active();
      if (zombie === undefined) throw new Error('None was active.');
      zombie.signal('SIGSTOP');
      try {
        await sleep(between(scene, 0, 300));
        await cutStream(scene);
        await sleep(between(scene, 100, 700));
      } finally {
        zombie.signal('SIGCONT');
      }
    },
  },
  {
    name: 'invalidator stopped and continued',
    async run(scene) {
      const active = await scene.invalidators.active();
      if (active === undefined) throw new Error('None was active.');
      active.signal('SIGSTOP');
      await sleep(between(scene, 100, 700));
      active.signal('SIGCONT');
    },
  },
];
