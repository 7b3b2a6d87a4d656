/**
 * Sessions as most shops keep them: one JSON text per session, read, changed and written back whole. Two
 * requests of one buyer at the same time can lose one of their changes to the cart.
 */
import type { CacheServer } from './cache-server.ts';
import { newSessionId, type Sessions, sessionSeconds } from './session.ts';

interface Blob {
  readonly customerId: number | null;
  readonly cart: Record<string, number>;
}

export function redisSessions(server: CacheServer): Sessions {
  const keyOf = (id: string): string => `session:${id}`;
  const expiration = { type: 'EX', value: sessionSeconds } as const;

  async function read(id: string): Promise<Blob | undefined> {
    const text = await server.get(keyOf(id));
    return text === null ? undefined : (JSON.parse(text) as Blob);
  }
  async function change(id: string, edit: (blob: Blob) => Blob): Promise<boolean> {
    const blob = await read(id);
    if (blob === undefined) return false;
    // XX: a session that was destroyed since the read stays destroyed.
    const reply = await server.set(keyOf(id), JSON.stringify(edit(blob)), { expiration, condition: 'XX' });
    return reply !== null;
  }

  return {
    async find(id) {
      const blob = await read(id);
      if (blob === undefined) return undefined;
      const cart = Object.entries(blob.cart).map(([productId, units]) => [Number(productId), units] as const);
      return { id, customerId: blob.customerId, cart: new Map(cart) };
    },
    async create(customerId, cart) {
      const id = newSessionId();
      const blob: Blob = { customerId, cart: Object.fromEntries(cart) };
      await server.set(keyOf(id), JSON.stringify(blob), { expiration });
      return { id, customerId, cart };
    },
    setQuantity: (id, productId, quantity) =>
      change(id, (blob) => {
        const { [productId]: _, ...others } = blob.cart;
        return { ...blob, cart: quantity === 0 ? others : { ...others, [productId]: quantity } };
      }),
    clearCart: (session) => change(session.id, (blob) => ({ ...blob, cart: {} })),
    async destroy(id) {
      await server.del(keyOf(id));
    },
  };
}
