/**
 * (pure) Places in a binary log: the file's number in the upper 32 bits, the offset in the lower. Offsets grow
 * within a file and numbers from file to file, so positions are ordered as the log is.
 */

export interface LogPlace {
  /** `binlog.000017` */
  readonly file: string;
  readonly offset: number;
}

export function packPlace({ file, offset }: LogPlace): bigint {
  return (BigInt(fileNumber(file)) << 32n) | BigInt(offset);
}

export function unpackPosition(position: bigint): { readonly number: number; readonly offset: number } {
  return { number: Number(position >> 32n), offset: Number(position & 0xffff_ffffn) };
}

/** Throws RangeError for a name that no binary log has. */
export function fileNumber(file: string): number {
  const number = Number(/\.(\d+)$/.exec(file)?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(number))
    throw new RangeError(`Not the name of a binary log: ${JSON.stringify(file)}.`);
  return number;
}

/** The file of `files` (SHOW BINARY LOGS) that holds the position; undefined when it is purged or never was. */
export function fileOf(
  position: bigint,
  files: readonly { readonly name: string; readonly sizeBytes: number }[],
): LogPlace | undefined {
  const { number, offset } = unpackPosition(position);
  const found = files.find(({ name, sizeBytes }) => fileNumber(name) === number && offset <= sizeBytes);
  return found === undefined || offset < 4 ? undefined : { file: found.name, offset };
}

/** The statement names the table, quoted or not: then it may have changed it. Never false when it did so by name. */
export function mentions(statement: string, table: string): boolean {
  const [schema = '', name = ''] = table.split('.');
  const text = statement.toLowerCase();
  if (text.includes(name.toLowerCase())) return true;
  return /^\s*(drop|create|alter)\s+(database|schema)\b/.test(text) && text.includes(schema.toLowerCase());
}

/** Statements in the log that change no rows: they frame transactions, or concern accounts and the server. */
export function changesNoRows(statement: string): boolean {
  return /^\s*(begin|commit|rollback|savepoint|release\s|xa\s+(start|end|prepare|rollback)|flush|grant|revoke|analyze|(create|alter|drop)\s+(user|role)|set\s)/i.test(
    statement,
  );
}
