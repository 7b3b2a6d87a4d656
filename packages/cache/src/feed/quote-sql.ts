/** (pure) Names and texts within SQL for PostgreSQL. */
import { CacheConfigError } from '../errors.ts';

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteTable(table: string): string {
  return table.split('.').map(quoteIdentifier).join('.');
}

export function quoteLiteral(text: string): string {
  // Without backslashes there is no need for E'' strings, whatever standard_conforming_strings is.
  if (text.includes('\\')) throw new CacheConfigError(`${JSON.stringify(text)} may not contain a backslash.`);
  return `'${text.replaceAll("'", "''")}'`;
}
