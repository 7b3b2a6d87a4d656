import { describe, expect, test } from 'vitest';
import { debianUri } from './package-archive.ts';

describe('the archive a system is configured with', () => {
  test.each([
    ['one line', 'deb http://deb.debian.org/debian bookworm main', 'http://deb.debian.org/debian'],
    [
      'options, a slash at the end, a comment before',
      '# deb http://old.example/debian sid main\ndeb [arch=amd64 signed-by=/k.gpg] https://mirror.example/debian/ trixie main contrib',
      'https://mirror.example/debian',
    ],
    [
      'security first',
      'deb http://security.debian.org/debian-security bookworm-security main\ndeb http://a.example/debian bookworm main',
      'http://a.example/debian',
    ],
    [
      'stanzas',
      'Types: deb\nURIs: http://s.example/debian-security\nSuites: trixie-security\n\nTypes: deb\nURIs: http://m.example/debian\nSuites: trixie trixie-updates\nComponents: main\n',
      'http://m.example/debian',
    ],
    ['another vendor', 'deb http://archive.ubuntu.com/ubuntu noble main', undefined],
    ['nothing', '', undefined],
    ['sources only', 'deb-src http://deb.debian.org/debian bookworm main', undefined],
    [
      'a stanza of sources only',
      'Types: deb-src\nURIs: http://src.example/debian\nSuites: trixie\n\nTypes: deb deb-src\nURIs: http://m.example/debian\nSuites: trixie\n',
      'http://m.example/debian',
    ],
    [
      'a stanza that is switched off',
      'Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: trixie\n',
      undefined,
    ],
  ])('%s', (_, text, uri) => {
    expect(debianUri(text)).toBe(uri);
  });

  test.each([
    [
      'one line',
      'deb http://m.example/debian-security trixie-security main',
      'http://m.example/debian-security',
    ],
    ['main only', 'deb http://m.example/debian trixie main', undefined],
    [
      'stanzas',
      'Types: deb\nURIs: http://m.example/debian\nSuites: trixie\n\nTypes: deb\nURIs: http://s.example/debian-security/\nSuites: trixie-security\n',
      'http://s.example/debian-security',
    ],
  ])('its security updates: %s', (_, text, uri) => {
    expect(debianUri(text, 'security')).toBe(uri);
  });
});
