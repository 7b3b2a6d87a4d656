import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  buildVersion,
  compareVersions,
  isEngineName,
  isNewerBuild,
  releaseOf,
  shownVersion,
  versionLine,
  versionMatches,
} from './engine.ts';

const version = fc.array(fc.nat(40), { minLength: 1, maxLength: 4 }).map((numbers) => numbers.join('.'));

describe('versions', () => {
  test.each([
    ['7.0.15', '7.0.15', true],
    ['7.0.15', '7.0', true],
    ['7.0.15', '7', true],
    ['7.0.15', '7.0.1', false],
    ['7.0.15', '7.1', false],
    ['17.0.1', '7', false],
    ['7.0.15', '', false],
    ['7.0.15', '.', false],
  ])('%s for a request of %j: %s', (present, wanted, serves) => {
    expect(versionMatches(present, wanted)).toBe(serves);
  });

  test('are ordered by number, not by letter', () => {
    const sorted = ['9.1.2', '10.0.0', '9.1.10', '9.1', '8.9.9'].sort(compareVersions);
    expect(sorted).toEqual(['8.9.9', '9.1', '9.1.2', '9.1.10', '10.0.0']);
  });

  test('comparing is an order', () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b))).toBe(-Math.sign(compareVersions(b, a)) + 0);
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) {
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
        }
      }),
    );
  });

  test('a version serves a request for its own line', () => {
    fc.assert(fc.property(version, (each) => versionMatches(each, versionLine(each))));
  });
});

test('names that every object has are no engines', () => {
  expect(['valkey', 'constructor', '__proto__', 'Valkey', ''].map(isEngineName)).toEqual([
    true,
    false,
    false,
    false,
    false,
  ]);
});

describe('builds of one release', () => {
  const ordered = ['1~bpo12+1', '1~deb12u7', '1~deb12u10', '1', '1+b1', '3+deb13u2', '3+deb13u3', '4'];

  test('compare as their packages do', () => {
    const versions = ordered.map((revision) => buildVersion('7.0.15', `5:7.0.15-${revision}`));
    expect([...versions].reverse().sort(compareVersions)).toEqual(versions);
    expect(versions[2]).toBe('7.0.15.0.12.10');
    expect(buildVersion('8.0.1', '8.0.1+dfsg1-1~bpo12+1')).toBe('8.0.1.0.12.1');
  });

  test('are of the release, whatever the revision', () => {
    for (const revision of ordered) {
      const version = buildVersion('7.0.15', `5:7.0.15-${revision}`);
      expect(releaseOf(version)).toBe('7.0.15');
      expect(versionMatches(version, '7.0.15')).toBe(true);
      expect([shownVersion('redis', version), shownVersion('memcached', version)]).toEqual(['7.0', '7.0.15']);
    }
  });

  test.each([
    ['7.0.15.0.12.10', '7.0.15.0.12.7', true],
    ['7.0.15.0.12.7', '7.0.15.0.12.10', false],
    ['7.0.15.0.12.7', '7.0.15.0.12.7', false],
    ['7.0.16', '7.0.15.0.12.7', true],
    // A system's own program: its revision is not known, and may be the later one.
    ['7.0.15.0.12.7', '7.0.15', false],
    ['7.0.15', '7.0.15.0.12.7', false],
  ])('%s is newer than %s: %s', (version, than, newer) => {
    expect(isNewerBuild(version, than)).toBe(newer);
  });
});
