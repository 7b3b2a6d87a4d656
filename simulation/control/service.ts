/**
 * The service: passes over the group, one at a time, as `reconcile.ts` and `driver.ts` make them. The planner, the
 * linter, the executor and the switchover are the real ones.
 */
import { startHistory } from '@larder/control/reconciler/start-history';
import { checkPlan } from '@larder/control/replication-group/check-plan';
import { describeStep, execute } from '@larder/control/replication-group/execute';
import { plan } from '@larder/control/replication-group/plan';
import {
  membersOf,
  nodeIdOf,
  type ReplicationGroup,
} from '@larder/control/replication-group/replication-group';
import type { PlanInput } from '@larder/control/replication-group/seen-member';
import type { Plan, Step } from '@larder/control/replication-group/step';
import type { Host } from '@larder/fleet/host';
import { wanted } from './group.ts';
import type { Invariants } from './invariants.ts';
import type { Ledger } from './ledger.ts';
import { Life } from './life.ts';
import { type RemoteWorld, remoteHost } from './remote-host.ts';

export interface ServiceMutation {
  readonly plan?: (input: PlanInput, planned: Plan) => Plan;
  readonly see?: (input: PlanInput) => PlanInput;
  readonly host?: (host: Host) => Host;
  /** Plans are executed as they are, so that the world shows what is wrong with them. */
  readonly unchecked?: boolean;
}

export interface ServiceWorld extends RemoteWorld {
  readonly ledger: Ledger;
  readonly checks: Invariants;
  readonly mutation: RemoteWorld['mutation'] & ServiceMutation;
}

const againMs = 2;
const settledMs = 1_000;
const firstWaitMs = 25;
const longestWaitMs = 400;
const firstFailureMs = 5;
const longestFailureMs = 2_000;

export class Service {
  /** When the last pass that found everything as asked for had begun. */
  convergedAtMs = Number.NEGATIVE_INFINITY;
  /** What the last pass waited for, for people. */
  waitingFor: readonly string[] = [];
  passes = 0;
  readonly #world: ServiceWorld;
  readonly #clockRate: number;
  #lives = 0;
  #life: Life | undefined;
  #wake: () => void = () => {};

  constructor(world: ServiceWorld, clockRate: number) {
    this.#world = world;
    this.#clockRate = clockRate;
  }

  get life(): Life | undefined {
    return this.#life;
  }

  begin(): void {
    if (this.#life !== undefined) return;
    const { queue } = this.#world;
    this.#lives += 1;
    const life = new Life(queue, this.#lives, this.#clockRate, () => this.#world.touched());
    life.onDeath = () => this.end();
    this.#life = life;
    const remote = remoteHost(this.#world, life);
    const host = this.#world.mutation.host?.(remote) ?? remote;
    remote.renewLeases();
    const starts = startHistory();
    let running = false;
    let wakened = false;
    let waits = 0;
    let failures = 0;
    let timer = queue.after(0, () => {});
    const go = (): void => {
      if (life.over) return;
      queue.callOff(timer);
      if (running) {
        wakened = true;
        return;
      }
      running = true;
      wakened = false;
      const after = (delayMs: number): void => {
        running = false;
        timer = queue.after(wakened ? 0 : delayMs, () => life.attend(go));
      };
      this.#pass(life, host, starts).then(
        (outcome) => {
          failures = 0;
          waits = outcome === 'waiting' ? waits + 1 : 0;
          if (outcome === 'again') after(againMs);
          else if (outcome === 'settled') after(settledMs);
          else after(Math.min(longestWaitMs, firstWaitMs * 2 ** Math.floor(waits / 8)));
        },
        (error: Error) => {
          this.#world.trace.count('pass failed');
          this.#world.trace.tell(() => `service: the pass fails: ${error.name} ${error.message}`);
          after(Math.min(longestFailureMs, firstFailureMs * 2 ** failures));
          failures += 1;
        },
      );
    };
    this.#wake = () => life.attend(go);
    this.#world.trace.tell(() => 'service: starts');
    queue.after(0, go);
  }

  end(): void {
    if (this.#life === undefined) return;
    this.#world.trace.tell(() => 'service: dies');
    this.#life.end();
    this.#life = undefined;
    this.#wake = () => {};
  }

  wake(): void {
    this.#wake();
  }

  async #pass(
    life: Life,
    host: Host,
    starts: ReturnType<typeof startHistory>,
  ): Promise<'again' | 'waiting' | 'settled'> {
    const { ledger, checks, trace, mutation, queue } = this.#world;
    this.passes += 1;
    const beganAtMs = queue.nowMs;
    const { group } = ledger;
    const observations = await host.observe(membersOf(group).map(nodeIdOf));
    const nowMs = life.clock.nowMs();
    const seen: PlanInput = {
      group,
      observations,
      earliestStartMs: starts.earliestStartMs(observations, nowMs),
      nowMs,
      front: { routes: [] },
    };
    const input = mutation.see?.(seen) ?? seen;
    let planned: Plan;
    try {
      planned = plan(input);
    } catch (error) {
      checks.report('V8', `the planner has no plan: ${(error as Error).message}`);
      throw error;
    }
    planned = mutation.plan?.(input, planned) ?? planned;
    this.waitingFor = planned.waitingFor;
    if (mutation.unchecked !== true) {
      for (const { invariant, detail } of checkPlan(planned.steps, group, input.observations)) {
        checks.report('V8', `${invariant}: ${detail}`);
      }
    }
    await this.#recordSeen(life, planned);
    const after = await this.#carryOut(life, host, starts, group, planned.steps, observations);
    await this.#recordPass(life, after, planned);
    if (planned.steps.some(({ kind }) => kind !== 'ask-replicas')) return 'again';
    if (planned.waitingFor.length > 0) return 'waiting';
    if (planned.converged) this.convergedAtMs = beganAtMs;
    trace.count(planned.converged ? 'pass: converged' : 'pass: nothing to do');
    return 'settled';
  }

  async #carryOut(
    life: Life,
    host: Host,
    starts: ReturnType<typeof startHistory>,
    group: ReplicationGroup,
    steps: readonly Step[],
    observations: PlanInput['observations'],
  ): Promise<ReplicationGroup> {
    const { ledger, trace, checks } = this.#world;
    const deps = {
      host,
      records: ledger.records(life),
      router: { put: async () => {} },
      wanted: () => wanted,
      startData: () => {
        throw new Error('Snapshots are not simulated.');
      },
      clock: life.clock,
    };
    let now = group;
    for (const step of steps) {
      trace.count(`step: ${step.kind}`);
      trace.tell(() => `service: epoch ${now.epoch}: ${describeStep(step)}`);
      if (step.kind === 'decide-primary' || step.kind === 'elect' || step.kind === 'switch-over') {
        checks.decides(step.nodeGroup, observations);
      }
      if (step.kind === 'start-node') starts.started(nodeIdOf({ id: step.member }), life.clock.nowMs());
      if (step.kind === 'stop-node') starts.restarting(nodeIdOf({ id: step.member }));
      now = await execute(deps, now, step);
    }
    return now;
  }

  /** Before the steps, as `recordSeen`. */
  async #recordSeen(life: Life, { lineages }: Plan): Promise<void> {
    if (lineages.size === 0) return;
    await this.#world.ledger.write(life, (now) => ({
      ...now,
      nodeGroups: now.nodeGroups.map((nodeGroup) => {
        const lineage = lineages.get(nodeGroup.id);
        return lineage === undefined ? nodeGroup : { ...nodeGroup, lineage };
      }),
    }));
  }

  /** After the steps: of `recordPass` what later plans go by. */
  async #recordPass(life: Life, group: ReplicationGroup, planned: Plan): Promise<void> {
    const creating = membersOf(group).some(({ status }) => status === 'creating');
    const forms =
      planned.converged &&
      (creating || group.status === 'creating' || group.nodeGroups.some(({ formed }) => !formed));
    if (!forms) return;
    await this.#world.ledger.write(life, (now) => ({
      ...now,
      status: 'available',
      nodeGroups: now.nodeGroups.map((nodeGroup) => ({
        ...nodeGroup,
        formed: true,
        members: nodeGroup.members.map((member) =>
          member.status === 'creating' ? { ...member, status: 'available' as const } : member,
        ),
      })),
    }));
  }
}
