import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isAllowed } from './allowed-values.ts';
import { isListed } from './curation.ts';
import { directiveOf, fromDirective, toDirectives } from './directives.ts';
import { type FamilyParameter, familyName, parameterFamilies, parametersOf } from './family.ts';
import { memcachedArguments } from './memcached.ts';

const parameter = (name: string, family = 'valkey9'): FamilyParameter =>
  parameterFamilies()
    .get(family)!
    .parameters.find((each) => each.name === name)!;

describe('allowed values', () => {
  test.each([
    ['maxmemory-policy', 'allkeys-lru', true],
    ['maxmemory-policy', 'Allkeys-LRU', false],
    ['timeout', '0', true],
    ['timeout', '19', false],
    ['timeout', '20', true],
    ['timeout', '2147483648', false],
    ['slowlog-log-slower-than', '-1', true],
    ['slowlog-log-slower-than', '-2', false],
    ['slowlog-log-slower-than', '9223372036854775807', true],
    ['slowlog-log-slower-than', '9223372036854775808', false],
    ['list-max-listpack-size', '-5', true],
    ['active-expire-effort', '1e1', false],
    ['active-expire-effort', '05', false],
    ['slowlog-log-slower-than', '-0', false],
    ['active-expire-effort', '', false],
    ['active-expire-effort', '5\n', false],
    ['active-expire-effort', '9'.repeat(100_000), false],
    ['databases', '2147483647', false],
    ['repl-backlog-size', '64mb', true],
    ['reserved-memory-percent', '101', false],
    ['notify-keyspace-events', 'KEA', true],
  ])('%s %s: %s', (name, value, allowed) => {
    expect(isAllowed(parameter(name), value)).toBe(allowed);
  });

  test.each([
    ['chunk_size_growth_factor', '1.08', true],
    ['chunk_size_growth_factor', '1', false],
    ['chunk_size_growth_factor', 'x', false],
    ['cas_disabled', 'yes', false],
    ['cas_disabled', '1', true],
  ])('of Memcached: %s %s: %s', (name, value, allowed) => {
    expect(isAllowed(parameter(name, 'memcached1.6'), value)).toBe(allowed);
  });

  test("every family's own defaults are allowed", () => {
    for (const { parameters } of parameterFamilies().values()) {
      const wrong = parameters.filter((each) => !isAllowed(each, each.value));
      expect(wrong.map(({ name, value }) => [name, value])).toEqual([]);
    }
  });
});

describe('directives', () => {
  test('buffer limits are one directive, nine parameters, and nothing is lost between', () => {
    const limit = fc.nat().map(String);
    fc.assert(
      fc.property(fc.array(limit, { minLength: 9, maxLength: 9 }), ([a, b, c, d, e, f, g, h, i]) => {
        const text = `normal ${a} ${b} ${c} slave ${d} ${e} ${f} pubsub ${g} ${h} ${i}`;
        const parts = new Map(fromDirective('client-output-buffer-limit', text));
        expect(parts.size).toBe(9);
        expect(parts.get('client-output-buffer-limit-replica-soft-limit')).toBe(e);
        expect([...toDirectives(parts)]).toEqual([['client-output-buffer-limit', text]]);
      }),
    );
  });

  test('what is no directive of an engine is none', () => {
    expect(directiveOf('reserved-memory-percent')).toBeUndefined();
    expect(directiveOf('cluster-enabled')).toBeUndefined();
    expect([...toDirectives(new Map([['reserved-memory-percent', '25']]))]).toEqual([]);
  });

  test('one that nobody decided about stops the making of a family', () => {
    expect(isListed('redis', 'lazyfree-lazy-expire')).toBe(true);
    expect(isListed('valkey', 'lazyfree-lazy-expire')).toBe(false);
    expect(isListed('valkey', 'tls-port')).toBe(false);
    expect(() => isListed('valkey', 'brand-new')).toThrow('curation.ts');
    expect(() => isListed('valkey', 'constructor')).toThrow('curation.ts');
  });
});

describe('families', () => {
  test.each([
    ['valkey', '9.1.2', 'valkey9'],
    ['redis', '7.0.15', 'redis7'],
    ['memcached', '1.6.18', 'memcached1.6'],
  ] as const)('%s %s belongs to %s', (engine, version, family) => {
    expect(familyName(engine, version)).toBe(family);
    expect(parameterFamilies().get(family)?.engine).toBe(engine);
  });

  test('a version has only what it knows', () => {
    const family = parameterFamilies().get('valkey8')!;
    const names = (version: string) => parametersOf(family, version).map(({ name }) => name);
    expect(names('8.1.1')).toContain('commandlog-reply-larger-than');
    expect(names('8.0.4')).not.toContain('commandlog-reply-larger-than');
    expect(names('8.0.4')).toContain('maxmemory-policy');
  });

  test("Larder's own directives are in none of them", () => {
    const own = [
      'bind',
      'port',
      'dir',
      'aclfile',
      'requirepass',
      'maxmemory',
      'save',
      'replicaof',
      'tls-port',
    ];
    for (const { parameters } of parameterFamilies().values()) {
      expect(parameters.filter(({ name }) => own.includes(name))).toEqual([]);
    }
  });
});

test("Memcached's options are one argument; names it does not have are not passed on", () => {
  expect(
    memcachedArguments({ idle_timeout: '60', lru_crawler: '0', max_item_size: '1048577', evil: '-x' }),
  ).toEqual([...['-I', '1572864'], ...['-o', 'modern,idle_timeout=60,no_lru_crawler']]);
  expect(memcachedArguments({ cas_disabled: '0', error_on_memory_exhausted: '1' })).toEqual([
    '-M',
    '-o',
    'modern',
  ]);
});
