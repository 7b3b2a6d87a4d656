/**
 * Engines that hold nothing and serve nobody, to ask whether a version would take a setting or an access rule.
 * No engine's grammar is written down twice: the engine is the oracle.
 */
import type { EngineName } from '@larder/engine/engine';

export type ScratchReply =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: string };

export interface ScratchEngines {
  /**
   * Sends commands to a scratch engine of that version, in order, nobody else's in between. It starts when it is
   * first needed, is kept for a while, and ends with the service, also when that is killed.
   * @returns one reply for each command; an engine's refusal is a reply, `error` is its text.
   * @throws when no engine of that version can be started or it does not answer in time.
   */
  ask(engine: EngineName, version: string, commands: readonly (readonly string[])[]): Promise<ScratchReply[]>;
  close(): Promise<void>;
}
