/** A buyer's session: who is signed in, and the cart. Three backings, one per mode, in files beside this one. */
import { randomBytes } from 'node:crypto';
import type { Counters } from './counters.ts';

export interface Session {
  readonly id: string;
  readonly customerId: number | null;
  /** Product id to quantity. */
  readonly cart: ReadonlyMap<number, number>;
}

export interface Sessions {
  /** Undefined when it never existed, has run out or was destroyed. */
  find(id: string): Promise<Session | undefined>;
  /** Under a new id that nobody could have guessed or planted. */
  create(customerId: number | null, cart: ReadonlyMap<number, number>): Promise<Session>;
  /** Quantity 0 takes the product out. False when the session is gone: writing never brings one back. */
  setQuantity(id: string, productId: number, quantity: number): Promise<boolean>;
  clearCart(session: Session): Promise<boolean>;
  destroy(id: string): Promise<void>;
}

/** From the last change. */
export const sessionSeconds = 24 * 3_600;

/** 128 random bits, in characters that need no escaping anywhere. */
export function newSessionId(): string {
  return randomBytes(16).toString('base64url');
}

export function isSessionId(text: string | undefined): text is string {
  return text !== undefined && /^[\w-]{22}$/.test(text);
}

export class SessionsUnavailable extends Error {
  override name = 'SessionsUnavailable';
}

const firstPauseMs = 10;
const longestPauseMs = 100;

/**
 * Tries again for as long as a failover usually takes, so that buyers notice a pause and no error. Every
 * session operation may be repeated: each sets, deletes or reads, none adds.
 * @throws SessionsUnavailable after `budgetMs`.
 */
export function retryingSessions(backing: Sessions, counters: Counters, budgetMs = 1_500): Sessions {
  async function retry<T>(attempt: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + budgetMs;
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      try {
        return await attempt();
      } catch (error) {
        if (performance.now() + pauseMs > deadline) {
          counters.sessions.failed += 1;
          throw new SessionsUnavailable('The session store does not answer.', { cause: error });
        }
        counters.sessions.retried += 1;
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  }
  return {
    find: (id) => retry(() => backing.find(id)),
    create: (customerId, cart) => retry(() => backing.create(customerId, cart)),
    setQuantity: (id, productId, quantity) => retry(() => backing.setQuantity(id, productId, quantity)),
    clearCart: (session) => retry(() => backing.clearCart(session)),
    destroy: (id) => retry(() => backing.destroy(id)),
  };
}
