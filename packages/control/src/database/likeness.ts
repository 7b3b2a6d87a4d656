/** What several controllers of one database must have alike: else nodes would not know the next one. */
import { createHash } from 'node:crypto';
import type { Database } from './connect.ts';

export class ControllersDiffer extends Error {
  override name = 'ControllersDiffer';
}

/**
 * The first controller writes down what it has, later ones are compared with it.
 * @param parts name -> its bytes. @throws ControllersDiffer naming the first that is another one.
 */
export async function checkLikeness(
  database: Database,
  parts: Readonly<Record<string, Buffer | string>>,
): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    for (const [name, bytes] of Object.entries(parts)) {
      const digest = createHash('sha256').update(bytes).digest('hex');
      const known = await transaction
        .selectFrom('likeness')
        .select('digest')
        .where('name', '=', name)
        .executeTakeFirst();
      if (known === undefined) await transaction.insertInto('likeness').values({ name, digest }).execute();
      else if (known.digest !== digest) {
        throw new ControllersDiffer(
          `This controller's ${name} is not that of the others. Copy it from the data directory of the first one, and start again.`,
        );
      }
    }
  });
}
