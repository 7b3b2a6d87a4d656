/** Sessions without a cache: a table. Every page that knows the buyer costs the database a query. */
import type { Database, Statement } from './database.ts';
import { newSessionId, type Sessions, sessionSeconds } from './session.ts';

export function postgresSessions(database: Database): Sessions {
  return {
    async find(id) {
      const [row] = await database.query<{ customer_id: number | null; cart: Record<string, number> }>(
        findStatement,
        [id],
      );
      if (row === undefined) return undefined;
      const cart = Object.entries(row.cart).map(([productId, units]) => [Number(productId), units] as const);
      return { id, customerId: row.customer_id, cart: new Map(cart) };
    },
    async create(customerId, cart) {
      const id = newSessionId();
      await database.query(createStatement, [
        id,
        customerId,
        JSON.stringify(Object.fromEntries(cart)),
        sessionSeconds,
      ]);
      return { id, customerId, cart };
    },
    async setQuantity(id, productId, quantity) {
      const statement = quantity === 0 ? removeStatement : setStatement;
      const values = quantity === 0 ? [id, String(productId)] : [id, String(productId), quantity];
      return (await database.query(statement, values)).length === 1;
    },
    clearCart: async (session) => (await database.query(clearStatement, [session.id])).length === 1,
    async destroy(id) {
      await database.query(destroyStatement, [id]);
    },
  };
}

const findStatement: Statement = {
  name: 'session_find',
  text: 'SELECT customer_id, cart FROM sessions WHERE id = $1 AND expires_at > now()',
};
const createStatement: Statement = {
  name: 'session_create',
  text: `INSERT INTO sessions (id, customer_id, cart, expires_at)
    VALUES ($1, $2, $3::jsonb, now() + $4 * interval '1 second')`,
};
const setStatement: Statement = {
  name: 'session_set',
  text: `UPDATE sessions SET cart = cart || jsonb_build_object($2::text, $3::integer)
    WHERE id = $1 AND expires_at > now() RETURNING id`,
};
const removeStatement: Statement = {
  name: 'session_remove',
  text: 'UPDATE sessions SET cart = cart - $2::text WHERE id = $1 AND expires_at > now() RETURNING id',
};
const clearStatement: Statement = {
  name: 'session_clear',
  text: "UPDATE sessions SET cart = '{}' WHERE id = $1 AND expires_at > now() RETURNING id",
};
const destroyStatement: Statement = {
  name: 'session_destroy',
  text: 'DELETE FROM sessions WHERE id = $1',
};
