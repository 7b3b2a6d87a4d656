/** The part of the Standard Schema interface (standardschema.dev, version 1) that a definition uses. */

export interface StandardSchemaV1<Output = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

export type Checked<V> =
  | { readonly ok: true; readonly value: V }
  | { readonly ok: false; readonly reason: string };

/** Validates without waiting: an asynchronous schema is refused, a far hit must not wait for one. */
export function checkValue<V>(schema: StandardSchemaV1<V> | undefined, value: unknown): Checked<V> {
  if (schema === undefined) return { ok: true, value: value as V };
  const result = schema['~standard'].validate(value);
  if (result instanceof Promise) return { ok: false, reason: 'The schema answers asynchronously.' };
  if (result.issues === undefined) return { ok: true, value: result.value };
  const [first] = result.issues;
  const path = (first?.path ?? [])
    .map((part) => String(typeof part === 'object' ? part.key : part))
    .join('.');
  return { ok: false, reason: `${path === '' ? 'value' : path}: ${first?.message ?? 'invalid'}` };
}
