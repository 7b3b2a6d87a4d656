/** The library's scripts by name: to tell them apart as they go over the wire, and to break them on purpose. */
import type { Script } from '../far/script.ts';
import {
  acquireScript,
  announcedScript,
  announceScript,
  applyScript,
  applyTagScript,
  beatScript,
  clockScript,
  fillScript,
  initScript,
  invalidateScript,
  invalidateTagScript,
  pulseScript,
  releaseScript,
  renewScript,
  stampScript,
  stateScript,
  voidScript,
  watermarkScript,
  withdrawScript,
} from '../far/scripts.ts';

export type { Script } from '../far/script.ts';

export const libraryScripts: readonly Script[] = [
  acquireScript,
  announcedScript,
  announceScript,
  applyScript,
  applyTagScript,
  beatScript,
  clockScript,
  fillScript,
  initScript,
  invalidateScript,
  invalidateTagScript,
  pulseScript,
  releaseScript,
  renewScript,
  stampScript,
  stateScript,
  voidScript,
  watermarkScript,
  withdrawScript,
];
