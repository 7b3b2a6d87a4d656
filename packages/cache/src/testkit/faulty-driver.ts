/**
 * Faults around any driver, the in-memory one or a real client's: delays, commands that fail, replies that are lost
 * after the engine has executed the command, connections that hang or break.
 */
import type { Driver, Link, LinkEvents, Subscriber, SubscriberEvents } from '../driver/driver.ts';

/** What befalls one command. `replyLost`: it is executed, and its caller gets an error. `never`: it isn't sent. */
export type Fate = 'ok' | 'fail' | 'replyLost' | 'never';

export interface DriverFaults {
  /** Time in ms on the way to the engine, on the way back, and of a message. Default 0. Order is kept. */
  readonly delayMs?: (way: 'request' | 'reply' | 'message', about: readonly string[]) => number;
  /** Asked for each command. Default `ok`. */
  readonly fate?: (args: readonly string[]) => Fate;
  /** Rewrites a message of a subscription, or drops it by giving undefined. */
  readonly message?: (channel: string, text: string) => string | undefined;
  /** Rewrites a command before it is sent. */
  readonly rewrite?: (args: readonly string[]) => readonly string[];
}

export interface FaultyDriver extends Driver {
  /** Every connection goes silent: what is sent and what comes back waits, until `unhang`. */
  hang(): void;
  unhang(): void;
  /** Breaks connections; they are opened again by themselves. */
  cut(kind?: 'commands' | 'subscriptions' | 'all'): void;
}

export function faultyDriver(inner: Driver, faults: DriverFaults = {}): FaultyDriver {
  const links = new Set<Link>();
  const subscribers = new Set<Subscriber>();
  const road = new Road(faults);
  return {
    ...inner,
    hang: () => road.hang(),
    unhang: () => road.unhang(),
    cut(kind = 'all') {
      if (kind !== 'subscriptions') for (const link of [...links]) link.reset();
      if (kind !== 'commands') for (const subscriber of [...subscribers]) subscriber.reset();
    },
    openLink(node, events) {
      const link = new FaultyLink((own) => inner.openLink(node, own), events, faults, road);
      links.add(link);
      const close = link.close.bind(link);
      link.close = () => {
        links.delete(link);
        close();
      };
      return link;
    },
    openSubscriber(node, options, events) {
      let life = 0;
      const passing: SubscriberEvents = {
        up: () => {
          life += 1;
          events.up();
        },
        down: (cause) => {
          life += 1;
          events.down(cause);
        },
        message: (channel, text) => {
          const given = faults.message === undefined ? text : faults.message(channel, text);
          if (given === undefined) return;
          const own = life;
          road.travel('message', [channel, given], lane, () => {
            if (own === life) events.message(channel, given);
          });
        },
      };
      const lane = new Lane();
      const opened = inner.openSubscriber(node, options, passing);
      const subscriber: Subscriber = {
        reset: () => opened.reset(),
        close: () => {
          subscribers.delete(subscriber);
          opened.close();
        },
      };
      subscribers.add(subscriber);
      return subscriber;
    },
  };
}

/** One direction of one connection: nothing overtakes. */
class Lane {
  waiting: (() => void)[] = [];
  busy = false;
}

class Road {
  readonly #faults: DriverFaults;
  #hung: (() => void)[] | undefined;

  constructor(faults: DriverFaults) {
    this.#faults = faults;
  }

  hang(): void {
    this.#hung ??= [];
  }

  unhang(): void {
    const waiting = this.#hung ?? [];
    this.#hung = undefined;
    for (const arrive of waiting) arrive();
  }

  travel(
    way: 'request' | 'reply' | 'message',
    about: readonly string[],
    lane: Lane,
    arrive: () => void,
  ): void {
    const delayMs = this.#faults.delayMs?.(way, about) ?? 0;
    const go = (): void => {
      if (delayMs > 0) setTimeout(() => this.#arrive(lane, arrive), delayMs);
      else this.#arrive(lane, arrive);
    };
    if (lane.busy) lane.waiting.push(go);
    else {
      lane.busy = true;
      go();
    }
  }

  #arrive(lane: Lane, arrive: () => void): void {
    if (this.#hung !== undefined) {
      this.#hung.push(() => this.#arrive(lane, arrive));
      return;
    }
    const next = lane.waiting.shift();
    if (next === undefined) lane.busy = false;
    arrive();
    next?.();
  }
}

class FaultyLink implements Link {
  readonly #inner: Link;
  readonly #faults: DriverFaults;
  readonly #road: Road;
  readonly #there = new Lane();
  readonly #back = new Lane();
  readonly #inFlight = new Set<(cause: Error) => void>();
  #up = false;
  #life = 0;

  constructor(open: (events: LinkEvents) => Link, events: LinkEvents, faults: DriverFaults, road: Road) {
    this.#faults = faults;
    this.#road = road;
    this.#inner = open({
      up: () => {
        this.#up = true;
        this.#life += 1;
        events.up();
      },
      down: (cause) => {
        this.#up = false;
        for (const reject of this.#inFlight) reject(cause);
        this.#inFlight.clear();
        events.down(cause);
      },
    });
  }

  send(args: readonly string[]): Promise<unknown> {
    if (!this.#up) return Promise.reject(new Error('The connection is down.'));
    const fate = this.#faults.fate?.(args) ?? 'ok';
    if (fate === 'fail') return Promise.reject(new Error('A fault was asked for.'));
    const sent = this.#faults.rewrite?.(args) ?? args;
    const life = this.#life;
    return new Promise((resolve, reject) => {
      this.#inFlight.add(reject);
      const settle = (end: () => void): void => {
        this.#road.travel('reply', sent, this.#back, () => {
          this.#inFlight.delete(reject);
          if (life === this.#life) end();
        });
      };
      this.#road.travel('request', sent, this.#there, () => {
        if (fate === 'never') return;
        // Sent on an earlier connection: it may land late all the same, and nobody hears of it.
        this.#inner.send(sent).then(
          (reply) =>
            settle(() => (fate === 'replyLost' ? reject(new Error('The reply was lost.')) : resolve(reply))),
          (error) => settle(() => reject(error)),
        );
      });
    });
  }

  reset(): void {
    this.#inner.reset();
  }

  close = (): void => {
    this.#inner.close();
  };
}
