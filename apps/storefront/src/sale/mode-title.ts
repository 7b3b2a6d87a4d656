import type { Mode } from './report.ts';

/** What people read where programs say `none`, `ttl` or `larder`. */
export function modeTitle(mode: Mode): string {
  return { none: 'No cache', ttl: 'TTL cache', larder: 'Larder' }[mode];
}
