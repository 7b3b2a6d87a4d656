/** Kills the primary in the middle of the sale, as an out-of-memory killer would, and watches what follows. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CacheEvent, CacheGroup, CacheMember } from './cache-group.ts';
import type { PriceChange, PriceChanger } from './price-changer.ts';
import { respCommand } from './resp-connection.ts';
import { startWriteProbe } from './write-probe.ts';

export interface FailoverRecord {
  readonly killedAtMs: number;
  readonly killedMemberId: string;
  readonly promotedMemberId: string | null;
  /** From the kill until the AWS API named another primary; null when it never did. */
  readonly promotionSeenAfterMs: number | null;
  readonly writeGapMs: number;
  readonly writableAgainAtMs: number | null;
  /** Committed after the kill; the first of them while nobody could write to the cache, if `duringGap`. */
  readonly priceChange: PriceChange;
  readonly priceChangedDuringGap: boolean;
  readonly events: readonly CacheEvent[];
}

const headStartMs = 500;
const afterwardsMs = 1_000;
const giveUpMs = 30_000;

/** @param onKilled called at once, with the clock time. */
export async function killPrimary(
  group: CacheGroup,
  changer: PriceChanger,
  hotProductId: number,
  onKilled: (atMs: number, memberId: string) => void = () => {},
): Promise<FailoverRecord> {
  const probe = startWriteProbe(group.primaryEndpoint);
  try {
    const primary = await primaryOf(group);
    const processId = await processIdOf(primary);
    await sleep(headStartMs);
    probe.forgetGaps();
    const killedAtMs = Date.now();
    const killedAt = performance.now();
    process.kill(processId, 'SIGKILL');
    onKilled(killedAtMs, primary.id);
    // At once, so that it commits while there is no primary.
    const changing = changer.change(hotProductId);

    let promoted: CacheMember | undefined;
    let promotionSeenAfterMs: number | null = null;
    let writableAgain = false;
    while (performance.now() - killedAt < giveUpMs && (promoted === undefined || !writableAgain)) {
      if (promoted === undefined) {
        promoted = (await group.members()).find((one) => one.role === 'primary' && one.id !== primary.id);
        if (promoted !== undefined) promotionSeenAfterMs = performance.now() - killedAt;
      }
      // Later than the kill by more than a reply can have been on its way.
      writableAgain = (probe.lastAcknowledgedMs() ?? 0) > killedAtMs + 20;
      await sleep(20);
    }
    const priceChange = await changing;
    await sleep(afterwardsMs);
    const gap = await probe.stop();
    const sawGap = writableAgain && gap.firstAfterMs >= killedAtMs;
    return {
      killedAtMs,
      killedMemberId: primary.id,
      promotedMemberId: promoted?.id ?? null,
      promotionSeenAfterMs,
      writeGapMs: sawGap ? gap.writeGapMs : performance.now() - killedAt,
      writableAgainAtMs: sawGap ? gap.firstAfterMs : null,
      priceChange,
      priceChangedDuringGap:
        priceChange.committedAtMs >= gap.lastBeforeMs && priceChange.committedAtMs <= gap.firstAfterMs,
      events: await group.eventsSince(killedAtMs),
    };
  } finally {
    await probe.stop();
  }
}

async function primaryOf(group: CacheGroup): Promise<CacheMember> {
  const primary = (await group.members()).find((member) => member.role === 'primary');
  if (primary === undefined)
    throw new Error('The replication group names no primary, so none can be killed.');
  return primary;
}

async function processIdOf(member: CacheMember): Promise<number> {
  const info = (await respCommand(member.endpoint, ['INFO', 'server'])) ?? '';
  const processId = Number(/^process_id:(\d+)/m.exec(info)?.[1]);
  if (!(processId > 1)) throw new Error(`INFO of ${member.id} names no process id.`);
  return processId;
}
