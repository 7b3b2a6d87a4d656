/**
 * (pure) Which calls an agent still carries out. An order that was given up for late, and after which its node was looked
 * at again, must not take effect any more: whoever decides has decided anew from what it saw.
 */
export interface CallGate {
  /** A look at nodes, with the number of its call. */
  looked(leader: number, number: number, nodeIds: readonly string[]): void;
  /** Whether an order to the node may still be carried out. */
  admits(leader: number, number: number, nodeId: string): boolean;
}

export function callGate(): CallGate {
  let term = 0;
  const lookedAt = new Map<string, number>();

  /** Every controller that leads counts anew. */
  function enter(leader: number): void {
    if (leader <= term) return;
    term = leader;
    lookedAt.clear();
  }

  return {
    looked(leader, number, nodeIds) {
      enter(leader);
      if (leader < term) return;
      for (const nodeId of nodeIds) lookedAt.set(nodeId, Math.max(number, lookedAt.get(nodeId) ?? 0));
    },
    admits(leader, number, nodeId) {
      enter(leader);
      return leader === term && number > (lookedAt.get(nodeId) ?? 0);
    },
  };
}
