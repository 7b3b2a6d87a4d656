/** Who leads: the number of its term is on every order, and hosts refuse orders of an earlier term. */
import type { Database } from './connect.ts';

/** Begins the next term. Only for who alone has the state open. @returns its number. */
export async function beginTerm(database: Database): Promise<number> {
  return database.transaction().execute(async (transaction) => {
    const before = await transaction.selectFrom('leadership').select('term').executeTakeFirst();
    if (before === undefined) {
      await transaction.insertInto('leadership').values({ id: 1, term: 1 }).execute();
      return 1;
    }
    await transaction
      .updateTable('leadership')
      .set({ term: before.term + 1 })
      .execute();
    return before.term + 1;
  });
}
