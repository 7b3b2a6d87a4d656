/** A fault on a stage, repeated, and what its figures must reach. */
import type { JudgedBar } from '../../bench/bar.ts';
import { judge } from '../../bench/bar.ts';
import { progress } from '../../bench/run-report.ts';
import { clientText } from '../../testing/cache-client.ts';
import { type Figures, figuresOf } from './judge-history.ts';
import { type Course, repeatOnce, usualCourse } from './repetition.ts';
import { figureNames, type ScenarioResult, summaryOf } from './scenario-result.ts';
import type { Fault, Stage } from './stage.ts';

export interface Limit {
  readonly figure: keyof Figures;
  readonly of: 'p95' | 'max';
  readonly atMost: number;
}

export interface ScenarioPlan<S extends Stage> {
  /** For `--fault`. */
  readonly name: string;
  readonly title: string;
  /** Not ours: shown beside, judged by nothing. */
  readonly peer?: true;
  readonly needsRoot?: true;
  /** However many are asked for. */
  readonly mostRuns?: number;
  readonly runsPerStage?: number;
  readonly open: () => Promise<S>;
  readonly fault: Fault<S>;
  readonly course?: Partial<Course>;
  readonly limits?: readonly Limit[];
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly peer: boolean;
  readonly needsRoot: boolean;
  run(runs: number): Promise<ScenarioResult>;
}

let brokenOff = false;
let closeOpenStage: () => Promise<void> = async () => {};

/** Closes what would be left behind, since engines outlive us; no more repetitions are begun. */
export function breakOff(): Promise<void> {
  brokenOff = true;
  return closeOpenStage();
}

/** A scenario hides what kind of stage it plays on. */
export function scenario<S extends Stage>(plan: ScenarioPlan<S>): Scenario {
  const { name, title, peer = false, needsRoot = false } = plan;
  return { name, title, peer, needsRoot, run: (runs) => runScenario(plan, runs) };
}

async function runScenario<S extends Stage>(plan: ScenarioPlan<S>, asked: number): Promise<ScenarioResult> {
  const runs = Math.min(asked, plan.mostRuns ?? asked);
  const course = { ...usualCourse, ...plan.course };
  const figures: Figures[] = [];
  const saw: Readonly<Record<string, number>>[] = [];
  const errors: Record<string, number> = {};
  const failures: string[] = [];
  let client = '';
  let stage: S | undefined;
  closeOpenStage = async () => stage?.close();
  try {
    for (let run = 0; run < runs && !brokenOff; run += 1) {
      if (run % (plan.runsPerStage ?? runs) === 0) {
        await stage?.close();
        stage = undefined;
      }
      try {
        stage ??= await plan.open();
        client = clientText(stage.client);
        const repetition = await repeatOnce(stage, plan.fault, course);
        const figure = figuresOf(repetition.history);
        figures.push(figure);
        saw.push(repetition.saw);
        for (const [kind, count] of Object.entries(repetition.history.errors)) {
          errors[kind] = (errors[kind] ?? 0) + count;
        }
        progress(`${plan.name} ${run + 1}/${runs}: ${figureLine(figure)}`);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        failures.push(message);
        progress(`${plan.name} ${run + 1}/${runs} FAILED: ${message}`);
        // What it left behind is nobody's next beginning.
        await stage?.close();
        stage = undefined;
      }
    }
  } finally {
    await stage?.close();
  }
  const { name, title, peer = false } = plan;
  const bars = [
    ...(plan.limits ?? []).map((limit) => judgeLimit(plan.title, limit, figures)),
    ...(peer ? [] : [judgeHealing(plan.title, failures.length)]),
  ];
  return { name, title, peer, client, figures, saw, errors, failures, bars };
}

function judgeLimit(title: string, { figure, of, atMost }: Limit, figures: readonly Figures[]): JudgedBar {
  const { [of]: value } = summaryOf(figures, figure);
  return judge({
    name: `${title}: ${figureNames[figure]}${of === 'p95' ? ', p95' : ', at most'}`,
    better: 'lower',
    limit: atMost,
    unit: figure.endsWith('Ms') ? 'ms' : '',
    // Without a single value there is nothing that could be good.
    values: figures.length === 0 ? [] : [value],
  });
}

function judgeHealing(title: string, failures: number): JudgedBar {
  return judge({
    name: `${title}: repetitions that did not heal`,
    better: 'lower',
    limit: 0,
    unit: '',
    values: [failures],
  });
}

function figureLine(figure: Figures): string {
  const shown = [
    'gapMs',
    'successorMs',
    'worstLatencyMs',
    'lost',
    'zombies',
    'splitBrainMs',
    'fullSyncs',
  ] as const;
  const parts = shown.map((name) => `${name} ${Math.round(figure[name] * 10) / 10}`);
  return [...parts, `clientErrors ${figure.clientErrors}`].join(', ');
}
