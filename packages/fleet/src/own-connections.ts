/** How many connections to a node are ours, so that they are not taken for clients'. */

export interface OwnConnections {
  /** Now. */
  readonly open: number;
  /** Since this process watches the node. */
  readonly opened: number;
}

export interface OwnConnectionCounter extends OwnConnections {
  /** @param change 1 when one was opened, -1 when one ended. */
  count(change: 1 | -1): void;
}

export function ownConnectionCounter(): OwnConnectionCounter {
  let open = 0;
  let opened = 0;
  return {
    get open() {
      return open;
    },
    get opened() {
      return opened;
    },
    count(change) {
      open += change;
      if (change === 1) opened += 1;
    },
  };
}
