/** The library's scripts by name: to tell them apart as they go over the wire, and to break them on purpose. */
import type { Script } from '../far/script.ts';
import * as scripts from '../far/scripts.ts';

export type { Script } from '../far/script.ts';

export const libraryScripts: readonly Script[] = Object.values(scripts);
