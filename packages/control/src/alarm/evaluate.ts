/**
 * The evaluation of alarms. Each second: metric alarms whose period ended are judged, then composite alarms by the states
 * that are now written, then what is owed is handed over. Alarms are kept in memory, and read again after a change; the
 * state that counts is the written one, so after a kill it goes on from there.
 */
import { isMet } from '@larder/metrics/alarm/composite-rule';
import type { AlarmState } from '@larder/metrics/alarm/evaluate-alarm';
import { suppressionOf } from '@larder/metrics/alarm/suppression';
import type { MetricReader } from '@larder/metrics/metric-store';
import type { Database } from '../database/connect.ts';
import type { Logger } from '../reconciler/logger.ts';
import type { Publish } from '../topic/topics.ts';
import { type Alarm, alarmNameOf, type CompositeAlarm, type MetricAlarm, type Place } from './alarm.ts';
import { deliverOwed } from './deliver.ts';
import { judge, lastPeriodEndMs } from './judge.ts';
import {
  type CompositeAlarmSettings,
  type MetricAlarmSettings,
  readCompositeAlarm,
  readMetricAlarm,
} from './read-alarm.ts';
import { changeNotification, readAlarms, readNotifications } from './store.ts';
import { type Transition, transitionIn } from './transition.ts';

export interface EvaluatorDeps {
  readonly database: Database;
  readonly metrics: MetricReader;
  readonly publish: Publish;
  readonly place: Place;
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly newId?: () => string;
}

export interface AlarmEvaluator {
  /** Alarms are not what they were: the next pass reads them again. */
  changed(): void;
  /** One pass; no two at once. */
  pass(): Promise<void>;
}

interface Watched {
  alarm: MetricAlarm;
  readonly settings: MetricAlarmSettings;
  /** The end of the last period that was judged. */
  judgedMs: number;
}

interface Composed {
  alarm: CompositeAlarm;
  readonly settings: CompositeAlarmSettings;
}

const judgedAtOnce = 20;
/** So long after its end a period's value may still come, and is not waited for till the next period. */
const lateMs = 15_000;

export function alarmEvaluator(deps: EvaluatorDeps): AlarmEvaluator {
  const { database, metrics, nowMs, place, logger, newId } = deps;
  let isStale = true;
  let watched = new Map<string, Watched>();
  let composed: readonly Composed[] = [];

  async function read(): Promise<void> {
    isStale = false;
    try {
      const alarms = await readAlarms(database);
      watched = new Map(alarms.flatMap((alarm) => (alarm.kind === 'metric' ? [watch(alarm)] : [])));
      composed = childrenFirst(
        alarms.flatMap((alarm) =>
          alarm.kind === 'composite'
            ? [{ alarm, settings: readCompositeAlarm(alarm.configuration, place) }]
            : [],
        ),
      );
    } catch (error) {
      isStale = true;
      throw error;
    }
  }

  function watch(alarm: MetricAlarm): [string, Watched] {
    const before = watched.get(alarm.name);
    const isSame = before?.alarm.revision === alarm.revision;
    const judgedMs = isSame ? before.judgedMs : Number.NEGATIVE_INFINITY;
    const settings = isSame ? before.settings : readMetricAlarm(alarm.configuration, place);
    return [alarm.name, { alarm, settings, judgedMs }];
  }

  async function judgeDue(): Promise<void> {
    const now = nowMs();
    const due = [...watched.values()].flatMap((each) => {
      const endMs = lastPeriodEndMs(each.settings.periodSeconds, now);
      return endMs > each.judgedMs ? [{ each, endMs }] : [];
    });
    for (let from = 0; from < due.length; from += judgedAtOnce) {
      await Promise.all(
        due.slice(from, from + judgedAtOnce).map(async ({ each, endMs }) => {
          try {
            const { after, isComplete } = await judge(metrics, each.alarm, each.settings, {
              endMs,
              nowMs: now,
            });
            // Until then it is judged again each second.
            if (isComplete || now - endMs > lateMs) each.judgedMs = endMs;
            const moved = await move(each.alarm, after);
            if (moved !== undefined) each.alarm = moved;
          } catch (error) {
            // The others are judged all the same, and this one again in a second.
            logger.error({ alarm: each.alarm.name, error }, 'An alarm could not be evaluated.');
          }
        }),
      );
    }
  }

  async function judgeComposed(): Promise<void> {
    if (composed.length === 0) return;
    const standing = new Map<string, Alarm>(
      [...watched.values(), ...composed].map(({ alarm }) => [alarm.name, alarm]),
    );
    for (const each of composed) {
      const { alarm, settings } = each;
      const stateOf = (name: string): AlarmState | undefined => standing.get(alarmNameOf(name, place))?.state;
      const state = isMet(settings.rule, stateOf) ? 'ALARM' : 'OK';
      if (state === alarm.state) continue;
      const atMs = nowMs();
      const held = holdsBack(settings, standing, atMs) !== undefined;
      const moved = await move(alarm, {
        state,
        ...composedReason(alarm, settings, state, standing, atMs),
        atMs,
        held,
      });
      if (moved?.kind !== 'composite') continue;
      each.alarm = moved;
      standing.set(alarm.name, moved);
    }
    await releaseHeld(standing);
  }

  /** What nothing suppresses any more is owed now; of a state that is not any more, nothing was kept. */
  async function releaseHeld(standing: ReadonlyMap<string, Alarm>): Promise<void> {
    if (!composed.some(({ settings }) => settings.suppressor !== undefined)) return;
    for (const { id, alarm: name, atMs } of await readNotifications(database, { held: true })) {
      const settings = composed.find(({ alarm }) => alarm.name === name)?.settings;
      if (settings !== undefined && holdsBack(settings, standing, atMs) !== undefined) continue;
      await database
        .transaction()
        .execute((transaction) => changeNotification(transaction, id, { held: false }));
    }
  }

  function holdsBack(
    { suppressor }: CompositeAlarmSettings,
    standing: ReadonlyMap<string, Alarm>,
    changedAtMs: number,
  ) {
    if (suppressor === undefined) return undefined;
    const alarm = standing.get(suppressor.alarm);
    return suppressionOf({
      suppressor: alarm && { state: alarm.state, changedAtMs: alarm.stateTransitionedAtMs },
      changedAtMs,
      ...suppressor,
      nowMs: nowMs(),
    });
  }

  /** @returns the alarm as it is then; undefined when it was changed meanwhile, and is read again. */
  async function move<Kind extends Alarm>(alarm: Kind, after: Transition): Promise<Kind | undefined> {
    if (after.state === alarm.state) return alarm;
    const isDone = await database
      .transaction()
      .execute((transaction) => transitionIn(transaction, alarm, after, place, newId));
    if (!isDone) {
      isStale = true;
      return undefined;
    }
    const { state, reason, reasonData, atMs } = after;
    return { ...alarm, state, reason, reasonData, stateUpdatedAtMs: atMs, stateTransitionedAtMs: atMs };
  }

  return {
    changed() {
      isStale = true;
    },
    async pass() {
      if (isStale) await read();
      await judgeDue();
      await judgeComposed();
      await deliverOwed(deps);
    },
  };
}

/** Each after those that it names: one pass then carries a change all the way up. There are no circles. */
function childrenFirst(alarms: readonly Composed[]): readonly Composed[] {
  const byName = new Map(alarms.map((each) => [each.alarm.name, each]));
  const ordered = new Set<Composed>();
  const visiting = new Set<Composed>();
  function visit(each: Composed): void {
    if (ordered.has(each) || visiting.has(each)) return;
    visiting.add(each);
    for (const child of each.settings.children) {
      const below = byName.get(child);
      if (below !== undefined) visit(below);
    }
    ordered.add(each);
  }
  for (const each of alarms) visit(each);
  return [...ordered];
}

function composedReason(
  alarm: CompositeAlarm,
  { children }: CompositeAlarmSettings,
  state: AlarmState,
  standing: ReadonlyMap<string, Alarm>,
  atMs: number,
): { readonly reason: string; readonly reasonData: string } {
  const states = children.map((name) => ({ name, state: standing.get(name)?.state ?? 'gone' }));
  const shown = states.slice(0, 10).map((each) => `${each.name} is ${each.state}`);
  const verb = state === 'ALARM' ? 'is' : 'is not';
  return {
    reason:
      `The rule of ${alarm.name} ${verb} met at ${new Date(atMs).toISOString()}${shown.length > 0 ? `: ${shown.join(', ')}` : ''}.`.slice(
        0,
        1023,
      ),
    reasonData: JSON.stringify({ triggeringAlarms: states }),
  };
}
