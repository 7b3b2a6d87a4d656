/**
 * Builds a structure anew out of the database while it is in use: beside the live one, swapped in one step.
 *
 * What is written meanwhile isn't lost: while a rebuild holds the mark `<key>#r`, every write is applied to the live
 * structure and noted in a journal. When all rows are in, the journal is replayed on what was built, and the swap
 * succeeds only if nothing was noted since. All in one slot:
 *
 *   <key>#r            the mark: token of the rebuild that runs. It lapses when its process dies
 *   <key>#j<token>     the journal of writes since
 *   <key>#n<token>     what is being built, with the parts that the structure has
 *
 * Is a write that the journal holds contained in the rows too? Only the application can know: it wrote the row and
 * then called here, in two steps. Writes may carry the id of their event; `contains` is asked, in the end, which of
 * those ids the rows contain, and these are not added again. Without `contains` all are, so that nothing is lost, and
 * what the rows contain as well is counted twice. Repeating a write of a maximum or of a visitor changes nothing.
 */
import { randomBytes } from 'node:crypto';
import { RebuildRunningError, SharedTierError } from '../errors.ts';
import type { Keyspace, Spot } from '../far/keyspace.ts';
import { script } from '../far/script.ts';

export interface RebuildOptions {
  /** Which of these events, ids given with writes since the rebuild began, do the rows contain? */
  readonly contains?: (events: readonly string[]) => Promise<Iterable<string>>;
}

/** One write as the journal has it. */
export interface JournalEntry<W> {
  readonly event?: string | undefined;
  readonly write: W;
}

export interface Rebuilt<R, W> {
  readonly keys: Keyspace;
  readonly spot: Spot;
  /** What is appended to a key for each of its parts: '' alone, or more. */
  readonly parts: readonly string[];
  /** When the new one ends, ms since 1970 by the engine's clock; 0 never. */
  readonly untilMs?: number;
  /** Or how long after the swap it does, ms; 0 never. */
  readonly lastsMs?: number;
  readonly rows: AsyncIterable<R> | Iterable<R>;
  /** Writes rows to the structure that begins with `key`. */
  readonly fill: (key: string, rows: readonly R[]) => Promise<unknown>;
  /** Repeats writes there, in order. */
  readonly replay: (key: string, writes: readonly W[]) => Promise<unknown>;
}

const markMs = 60_000;
const rowsPerStep = 500;
const maxRounds = 200;

/** For scripts that write. `note(key, text)` when `text` isn't '', and `key` is being rebuilt. */
export const noteWrite = `
local function note(key, text)
  if text == '' then return end
  local token = redis.call('GET', key .. '#r')
  if token then redis.call('RPUSH', key .. '#j' .. token, text) end
end
`;

/** KEYS 1 mark; ARGV 1 token, 2 ms; reply 1, or 0 while another holds it */
const beginScript = script(
  'rebuildBegin',
  `if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return 0`,
);

/** Holds the mark, and lets what is built last as long. KEYS 1 mark, 2 ... others; ARGV 1 token, 2 ms; reply 1 or 0 */
const holdScript = script(
  'rebuildHold',
  `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for i = 1, #KEYS do redis.call('PEXPIRE', KEYS[i], ARGV[2]) end
return 1`,
);

/**
 * KEYS 1 mark, 2 journal, then live and new key of each part; ARGV 1 token, 2 journal entries replayed, 3 end or 0, 4 lifetime or 0
 * Reply 'ok' | 'more' (entries came) | 'lost' (the mark isn't ours any more)
 */
const swapScript = script(
  'rebuildSwap',
  `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'lost' end
if redis.call('LLEN', KEYS[2]) > tonumber(ARGV[2]) then return 'more' end
for i = 3, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[i + 1]) == 1 then
    redis.call('RENAME', KEYS[i + 1], KEYS[i])
    redis.call('PERSIST', KEYS[i])
    if ARGV[3] ~= '0' then redis.call('PEXPIREAT', KEYS[i], ARGV[3]) end
    if ARGV[4] ~= '0' then redis.call('PEXPIRE', KEYS[i], ARGV[4]) end
  else
    redis.call('DEL', KEYS[i])
  end
end
redis.call('DEL', KEYS[1], KEYS[2])
return 'ok'`,
);

/** KEYS 1 mark, 2 ... others; ARGV 1 token; gives the mark back and clears away; reply 'ok' */
const dropScript = script(
  'rebuildDrop',
  `if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
redis.call('DEL', unpack(KEYS, 2))
return 'ok'`,
);

/**
 * Resolves when the new one is in place; until then readers see the old one. Rejects with RebuildRunningError, with
 * SharedTierError, and with what the rows threw: the old one stays then, with all that was written.
 */
export async function rebuild<R, W>(
  { keys, spot, parts, untilMs = 0, lastsMs = 0, rows, fill, replay }: Rebuilt<R, W>,
  { contains }: RebuildOptions,
): Promise<void> {
  const { partition, key } = spot;
  const token = randomBytes(9).toString('base64url');
  const [mark, journal, built] = [`${key}#r`, `${key}#j${token}`, `${key}#n${token}`];
  const builtKeys = parts.map((part) => built + part);
  const begun = await keys.run(partition, beginScript, { keys: [mark], args: [token, String(markMs)] });
  if (begun !== 1) {
    throw new RebuildRunningError(
      'This structure is being rebuilt already; wait for that, or try again later.',
    );
  }
  const hold = async (): Promise<void> => {
    const call = { keys: [mark, journal, ...builtKeys], args: [token, String(markMs)] };
    if ((await keys.run(partition, holdScript, call)) !== 1) throw lost();
  };
  const holding = setInterval(() => hold().catch(() => {}), markMs / 4);
  try {
    for await (const some of inSteps(rows)) {
      // Sent together, so that nothing is left without an end if this process dies in between.
      await Promise.all([fill(built, some), hold()]);
    }
    let replayed = 0;
    for (let round = 0; round < maxRounds; round += 1) {
      const call = {
        keys: [mark, journal, ...parts.flatMap((part) => [key + part, built + part])],
        args: [token, String(replayed), String(untilMs), String(lastsMs)],
      };
      const answer = await keys.run(partition, swapScript, call);
      if (answer === 'ok') return;
      if (answer !== 'more') throw lost();
      const texts = await keys.send(partition, [
        'LRANGE',
        journal,
        String(replayed),
        String(replayed + rowsPerStep - 1),
      ]);
      const entries = (texts as string[]).map((text) => JSON.parse(text) as JournalEntry<W>);
      replayed += entries.length;
      const events = entries.flatMap(({ event }) => (event === undefined ? [] : [event]));
      const known = new Set(events.length === 0 ? [] : await contains?.(events));
      const missing = entries.filter(({ event }) => event === undefined || !known.has(event));
      if (missing.length > 0)
        await replay(
          built,
          missing.map(({ write }) => write),
        );
      await hold();
    }
    throw new SharedTierError('More was written than could be replayed: rebuild when less is going on.');
  } catch (error) {
    const call = { keys: [mark, journal, ...builtKeys], args: [token] };
    await keys.run(partition, dropScript, call).catch(() => {});
    throw error;
  } finally {
    clearInterval(holding);
  }
}

function lost(): Error {
  return new SharedTierError('The shared tier forgot this rebuild, as after a failover; start it again.');
}

async function* inSteps<R>(rows: AsyncIterable<R> | Iterable<R>): AsyncGenerator<readonly R[]> {
  let step: R[] = [];
  for await (const row of rows) {
    step.push(row);
    if (step.length < rowsPerStep) continue;
    yield step;
    step = [];
  }
  if (step.length > 0) yield step;
}
