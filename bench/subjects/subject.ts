/**
 * One caching library behind one interface: what all of them can do. Each file here wires one of them up as its
 * documentation recommends for several processes, with the settings that make it look best; where a default was
 * changed, the file says why.
 */

export interface SubjectOptions<V> {
  readonly engine: { readonly host: string; readonly port: number };
  /** Keeps keys and channels apart from those of other subjects on the same engine. */
  readonly namespace: string;
  /** Keep values in this process too, with the library's own way to tell other processes, if it has one. */
  readonly near: boolean;
  /** How long values are kept. Long enough here that nothing ends by itself. */
  readonly ttlMs: number;
  readonly load: (id: number) => Promise<V | null>;
}

export interface Subject<V> {
  /** From the cache, or loaded and put there; as an application would call it. */
  get(id: number): Promise<V | null>;
  /** What an application calls after its commit. Resolves when the library says that it is done. */
  invalidate(id: number): Promise<void>;
  close(): Promise<void>;
}

export type OpenSubject = <V>(options: SubjectOptions<V>) => Promise<Subject<V>>;

/** Entries that the near tiers may hold; more than any case here uses. */
export const nearEntries = 20_000;
