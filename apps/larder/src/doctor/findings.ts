/** (pure) What the doctor says about what it saw. */

export interface Finding {
  readonly check: string;
  readonly level: 'ok' | 'warning' | 'error';
  readonly message: string;
  /** The exact statement or setting that mends it. */
  readonly mend?: string;
  /** The same where a provider keeps the server, when it differs. */
  readonly mendOnRds?: string;
}

export interface PostgresFacts {
  readonly versionNumber: number;
  readonly inRecovery: boolean;
  readonly walLevel: string;
  readonly slotKeepMb: number;
  readonly synchronousCommit: string;
  readonly freeSlots: number;
  readonly user: string;
  readonly isSuperuser: boolean;
  readonly mayReplicate: boolean;
  readonly onRds: boolean;
  readonly slot: SlotFacts | undefined;
  /** What the feed itself would refuse to start with. */
  readonly refusals: readonly string[];
}

export interface SlotFacts {
  readonly plugin: string | null;
  readonly active: boolean;
  readonly walStatus: string | null;
  readonly lagBytes: number;
}

const worryingLagBytes = 256 * 2 ** 20;

export function postgresFindings(facts: PostgresFacts, slotName: string): Finding[] {
  const { slot, user } = facts;
  const findings: Finding[] = [];
  const say = (
    check: string,
    level: Finding['level'],
    message: string,
    mends: Pick<Finding, 'mend' | 'mendOnRds'> = {},
  ): void => {
    findings.push({ check, level, message, ...mends });
  };
  if (facts.inRecovery) say('primary', 'error', 'This is a standby; the feed needs the primary.');
  if (facts.versionNumber < 130_000)
    say(
      'version',
      'error',
      `PostgreSQL ${facts.versionNumber / 10_000} is too old; the feed needs 13 or later.`,
    );
  if (facts.walLevel === 'logical') say('wal_level', 'ok', 'wal_level is logical.');
  else {
    say('wal_level', 'error', `wal_level is ${facts.walLevel}: the log doesn't say which rows changed.`, {
      mend: "ALTER SYSTEM SET wal_level = 'logical'; -- then restart the server",
      mendOnRds: 'Set rds.logical_replication = 1 in the parameter group, then reboot the instance.',
    });
  }
  if (facts.slotKeepMb >= 0)
    say(
      'max_slot_wal_keep_size',
      'ok',
      `A consumer that is away keeps at most ${facts.slotKeepMb} MB of log.`,
    );
  else {
    say(
      'max_slot_wal_keep_size',
      'warning',
      'A consumer that stays away makes the server keep its log until the disk is full. A cache can always forget instead.',
      {
        mend: "ALTER SYSTEM SET max_slot_wal_keep_size = '4GB'; SELECT pg_reload_conf();",
        mendOnRds: 'Set max_slot_wal_keep_size = 4096 in the parameter group.',
      },
    );
  }
  if (facts.mayReplicate || facts.isSuperuser) say('replication', 'ok', `${user} may replicate.`);
  else {
    const role = `"${user.replaceAll('"', '""')}"`;
    say('replication', 'error', `${user} may not use replication.`, {
      mend: `ALTER ROLE ${role} REPLICATION;`,
      mendOnRds: `GRANT rds_replication TO ${role};`,
    });
  }
  if (facts.synchronousCommit === 'off') {
    say(
      'synchronous_commit',
      'warning',
      'synchronous_commit is off by default: changes reach the cache up to three times wal_writer_delay after they are visible, and a crash can lose a change that was already cached.',
      {
        mend: "ALTER SYSTEM SET synchronous_commit = 'on'; SELECT pg_reload_conf();",
        mendOnRds: 'Set synchronous_commit = on in the parameter group.',
      },
    );
  } else say('synchronous_commit', 'ok', `synchronous_commit is ${facts.synchronousCommit}.`);
  for (const message of facts.refusals) {
    // Said above, with what a provider needs.
    if (/wal_level/.test(message)) continue;
    const mend = /Run: (.*?;)/s.exec(message)?.[1];
    say('tables', 'error', message, mend === undefined ? {} : { mend });
  }
  if (facts.refusals.every((message) => /wal_level/.test(message)))
    say('tables', 'ok', 'The publication and the watched tables are as the feed needs them.');
  findings.push(...slotFindings(slot, slotName, facts.freeSlots));
  return findings;
}

function slotFindings(slot: SlotFacts | undefined, name: string, freeSlots: number): Finding[] {
  const check = 'slot';
  if (slot === undefined) {
    if (freeSlots > 0)
      return [{ check, level: 'ok', message: `Slot ${name} doesn't exist yet; the feed makes it.` }];
    const message = `Slot ${name} doesn't exist and all of max_replication_slots are taken.`;
    return [
      {
        check,
        level: 'error',
        message,
        mend: 'ALTER SYSTEM SET max_replication_slots = 20; -- then restart the server',
        mendOnRds: 'Raise max_replication_slots in the parameter group, then reboot.',
      },
    ];
  }
  const mend = `SELECT pg_drop_replication_slot('${name}'); -- the feed makes it anew and forgets what is cached`;
  if (slot.plugin !== 'pgoutput')
    return [
      {
        check,
        level: 'error',
        message: `Slot ${name} belongs to something else (${slot.plugin ?? 'physical replication'}); give the feed another name.`,
      },
    ];
  if (slot.walStatus === 'lost') {
    return [
      {
        check,
        level: 'warning',
        message: `Slot ${name} lost its log. The next start makes it anew and forgets what is cached.`,
        mend,
      },
    ];
  }
  const lag = `${(slot.lagBytes / 2 ** 20).toFixed(1)} MB behind`;
  if (!slot.active) {
    return [
      {
        check,
        level: slot.lagBytes > worryingLagBytes ? 'error' : 'warning',
        message: `Nobody consumes slot ${name}; it is ${lag} and keeps that much log. Start the invalidator, or drop the slot.`,
        mend,
      },
    ];
  }
  if (slot.lagBytes > worryingLagBytes)
    return [{ check, level: 'warning', message: `Slot ${name} is consumed but ${lag}.` }];
  return [{ check, level: 'ok', message: `Slot ${name} is consumed, ${lag}.` }];
}

/** @param info reply of INFO; @param policy of CONFIG GET maxmemory-policy, where it may be asked. */
export function engineFindings(info: string, policy: string | undefined): Finding[] {
  const field = (name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
  const findings: Finding[] = [];
  const valkey = field('valkey_version');
  const version = valkey ?? field('redis_version') ?? 'unknown';
  const major = Number.parseInt(version, 10);
  const tooOld = !(major >= 6);
  findings.push({
    check: 'engine version',
    level: tooOld ? 'error' : 'ok',
    message: tooOld
      ? `The engine's version ${version} is too old; 6.0 or later.`
      : `${valkey === undefined ? 'Redis' : 'Valkey'} ${version}.`,
  });
  if (field('role') === 'slave')
    findings.push({
      check: 'engine role',
      level: 'error',
      message: 'This node is a replica; the cache needs the primary endpoint.',
    });
  const check = 'maxmemory-policy';
  const found = policy ?? field('maxmemory_policy');
  if (found === undefined)
    findings.push({
      check,
      level: 'warning',
      message:
        'The engine does not say its eviction policy; see that it is volatile-lru, volatile-lfu or noeviction.',
    });
  else if (/^(volatile-|noeviction)/.test(found))
    findings.push({ check, level: 'ok', message: `The eviction policy is ${found}.` });
  else {
    findings.push({
      check,
      level: 'error',
      message: `The eviction policy is ${found}: it may evict the protocol's own state, and everything cached is void each time.`,
      mend: 'CONFIG SET maxmemory-policy volatile-lru',
      mendOnRds: 'Set maxmemory-policy = volatile-lru in the ElastiCache parameter group.',
    });
  }
  return findings;
}
