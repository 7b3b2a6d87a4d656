/**
 * Sessions as one hash each, the cart a field per product: two requests of one buyer change different fields
 * and lose nothing, and no request reads or writes more than it needs.
 */
import type { CacheServer } from './cache-server.ts';
import { newSessionId, type Sessions, sessionSeconds } from './session.ts';

const productField = 'product:';

export function valkeySessions(server: CacheServer): Sessions {
  const keyOf = (id: string): string => `session:${id}`;
  return {
    async find(id) {
      const fields = await server.hGetAll(keyOf(id));
      if (fields.customer === undefined) return undefined;
      const cart = new Map<number, number>();
      for (const [field, value] of Object.entries(fields)) {
        if (field.startsWith(productField)) cart.set(Number(field.slice(productField.length)), Number(value));
      }
      return { id, customerId: fields.customer === '' ? null : Number(fields.customer), cart };
    },
    async create(customerId, cart) {
      const id = newSessionId();
      const fields: Record<string, string> = { customer: customerId === null ? '' : String(customerId) };
      for (const [productId, quantity] of cart) fields[productField + productId] = String(quantity);
      // One transaction: a process that dies in between leaves no session without an end.
      await server.multi().hSet(keyOf(id), fields).expire(keyOf(id), sessionSeconds).exec();
      return { id, customerId, cart };
    },
    setQuantity: (id, productId, quantity) =>
      server.setSessionField(
        keyOf(id),
        productField + productId,
        quantity === 0 ? '' : String(quantity),
        sessionSeconds,
      ),
    async clearCart(session) {
      const fields = [...session.cart.keys()].map((productId) => productField + productId);
      // Deleting fields never creates a hash, and `customer` keeps this one alive.
      if (fields.length > 0) await server.hDel(keyOf(session.id), fields);
      return true;
    },
    async destroy(id) {
      await server.del(keyOf(id));
    },
  };
}
