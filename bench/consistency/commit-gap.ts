/**
 * Holds every commit open between the log and visibility, as long as wanted: PostgreSQL waits for a synchronous
 * standby that doesn't exist. Meanwhile commits are in the log and streamed, and nobody sees them.
 */
import type pg from 'pg';
import { sleep } from '../monotonic.ts';

const probeLimitMs = 10_000;

/** Resolves when commits hang. The result lets them go; they return soon after it resolved. */
export async function holdCommits(admin: pg.Pool): Promise<() => Promise<void>> {
  await admin.query('CREATE TABLE IF NOT EXISTS commit_probe (at timestamptz)');
  await setStandbyNames(admin, "'nobody'");
  const letGo = (): Promise<void> => setStandbyNames(admin, 'DEFAULT');
  try {
    // A server takes on its new configuration when it comes to it: only a commit that waits shows that it has.
    const giveUpAtMs = performance.now() + probeLimitMs;
    let probing = false;
    while (!(await aCommitWaits(admin))) {
      if (performance.now() > giveUpAtMs) throw new Error('No commit waited for the missing standby.');
      if (!probing) {
        probing = true;
        const ended = (): void => {
          probing = false;
        };
        admin.query('INSERT INTO commit_probe VALUES (now())').then(ended, ended);
      }
      await sleep(2);
    }
  } catch (error) {
    await letGo();
    throw error;
  }
  return letGo;
}

async function aCommitWaits(admin: pg.Pool): Promise<boolean> {
  const { rows } = await admin.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' LIMIT 1");
  return rows.length > 0;
}

/** @param value as SQL */
async function setStandbyNames(admin: pg.Pool, value: string): Promise<void> {
  await admin.query(`ALTER SYSTEM SET synchronous_standby_names = ${value}`);
  await admin.query('SELECT pg_reload_conf()');
}
