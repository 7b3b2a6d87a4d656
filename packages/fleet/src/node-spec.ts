import type { EngineSettings } from '@larder/engine/config-file';

/** Complete description of one node's process; starting it needs nothing else. */
export interface NodeSpec {
  /** Unique on the host, and a folder name: the cache cluster's id and the node's number. */
  readonly nodeId: string;
  /** A whole version in the engine store, for example `9.1.2`. */
  readonly version: string;
  /** Rises when the node is to be started anew: a process of a lower one is out of date. */
  readonly generation: number;
  readonly settings: EngineSettings;
  /** Besides its own address, the ones its certificate is made out to. Only with TLS. */
  readonly certificateAddresses?: readonly string[];
}
