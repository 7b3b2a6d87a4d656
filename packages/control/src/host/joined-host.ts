/** The noun: a machine that joined the fleet. What is seen of it now is fleet's RemoteHost. */
export interface JoinedHost {
  readonly name: string;
  /** The availability zone it stands for. */
  readonly zone: string;
  /** Of its agent. */
  readonly url: string;
  /** For its nodes: a range of addresses that it may put on its interface. */
  readonly addresses: string;
  readonly joinedAtMs: number;
  /** It is to go: nothing is placed there any more. */
  readonly leaving: boolean;
}
