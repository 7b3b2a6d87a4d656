import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { TestEngine } from '../../../../testing/engine.ts';
import { chosenSeed } from '../../../../testing/seed.ts';
import { waitFor } from '../../../../testing/wait-for.ts';
import { sessionLifeMs } from './iam-session.ts';
import { encodeCommand } from './resp-skimmer.ts';
import type { IamRoute, Target } from './route-table.ts';
import {
  engineTlsPort,
  iamToken,
  type RouterLab,
  region,
  routerLab,
  secrets,
} from './router.test-support.ts';
import { createRouter, type Router } from './router.ts';

const hiddenPassword = 'known to the engine and the router alone';
const command = (...words: string[]) => encodeCommand(words);

let lab: RouterLab;
const engines = new Map<string, TestEngine>();
beforeAll(async () => {
  lab = await routerLab();
  for (const name of ['valkey', 'redis'] as const) {
    const engine = await lab.secureEngine(name);
    const admin = new Redis({ host: engine.host, port: engine.port });
    for (const user of ['iam-user', 'iam-other']) {
      await admin.call('ACL', 'SETUSER', user, 'on', `>${hiddenPassword}`, '~*', '&*', '+@all');
    }
    await admin.call('ACL', 'SETUSER', 'passer', 'on', '>passer password', '~*', '&*', '+@all');
    await admin.call('ACL', 'SETUSER', 'default', 'resetpass', '>default password');
    admin.disconnect();
    engines.set(name, engine);
  }
});
afterAll(() => lab.close());

const routers: Router[] = [];
let nowMs = Date.now();
const problems: string[] = [];
afterEach(async () => {
  for (const router of routers.splice(0)) await router.close();
  problems.length = 0;
  nowMs = Date.now();
});

interface Served {
  readonly router: Router;
  readonly route: IamRoute;
  readonly listen: Target;
  readonly counters: () => NonNullable<ReturnType<Router['stats']>[number]['iam']>;
  readonly token: (change?: { cacheName?: string; userId?: string }) => Promise<string>;
}

async function serve(
  name: 'valkey' | 'redis',
  change: Partial<IamRoute> = {},
  authenticateWithinMs?: number,
): Promise<Served> {
  const router = await createRouter({
    directory: await mkdtemp(join(lab.directory, 'router-')),
    lookupSecret: (accessKeyId) => secrets[accessKeyId],
    nowMs: () => nowMs,
    onProblem: (error) => problems.push(error.message),
    ...(authenticateWithinMs !== undefined && { authenticateWithinMs }),
  });
  routers.push(router);
  const listen = lab.listen();
  const { host } = engines.get(name)!;
  const route: IamRoute = {
    kind: 'iam',
    listen,
    certificate: await lab.issue(`route-${listen.address}`, listen.address),
    upstream: { address: host, port: engineTlsPort, caFile: lab.caFile },
    cacheName: 'shop',
    region,
    iamUsers: ['iam-user', 'iam-other'].map((user) => ({
      userName: user,
      userId: user,
      upstreamPassword: hiddenPassword,
    })),
    anonymous: false,
    ...change,
  };
  await router.put('shop', 1, [route]);
  return {
    router,
    route,
    listen,
    counters: () => router.stats()[0]!.iam!,
    token: ({ cacheName = 'shop', userId = 'iam-user' } = {}) => iamToken(cacheName, userId, new Date(nowMs)),
  };
}

describe.each(['valkey', 'redis'] as const)('%s, by the libraries people use', (name) => {
  test('ioredis: a token lets its user in, also as HELLO, and nobody else', async () => {
    const { listen, token, counters } = await serve(name);
    const tls = { ca: lab.authority.certificatePem };
    const client = lab.redis(listen, { tls, username: 'iam-user', password: await token() });
    expect(await client.acl('WHOAMI')).toBe('iam-user');
    expect(await client.set('key', 'x'.repeat(2 ** 20))).toBe('OK');
    expect(await client.get('key')).toHaveLength(2 ** 20);
    const failing = [
      { username: 'iam-user', password: await token({ cacheName: 'shop2' }) },
      { username: 'iam-user', password: await token({ userId: 'iam-other' }) },
      { username: 'iam-user', password: hiddenPassword },
      { username: 'passer', password: 'wrong' },
    ];
    for (const credentials of failing) {
      const other = lab.redis(listen, {
        tls,
        ...credentials,
        enableReadyCheck: false,
        maxRetriesPerRequest: 0,
      });
      await expect(other.get('key')).rejects.toThrow();
      other.disconnect();
    }
    const passer = lab.redis(listen, { tls, username: 'passer', password: 'passer password' });
    expect(await passer.acl('WHOAMI')).toBe('passer');
    const byDefault = lab.redis(listen, { tls, password: 'default password' });
    expect(await byDefault.acl('WHOAMI')).toBe('default');
    expect(counters()).toMatchObject({ authentications: 1, failures: 3, throttled: 0 });
    expect(problems.join()).toContain('A token of iam-user for shop was refused: another-cache.');
    expect(problems.join()).not.toContain('X-Amz');
  });

  test('node-redis, with RESP3 and pub/sub', async () => {
    const { listen, token, counters } = await serve(name);
    const client = createClient({
      RESP: 3,
      socket: { host: listen.address, port: listen.port, tls: true, ca: lab.authority.certificatePem },
      username: 'iam-user',
      password: await token(),
    });
    client.on('error', () => {});
    await client.connect();
    try {
      expect(await client.aclWhoAmI()).toBe('iam-user');
      const subscriber = client.duplicate();
      subscriber.on('error', () => {});
      await subscriber.connect();
      const heard = new Promise<string>((resolve) => void subscriber.subscribe('news', resolve));
      await waitFor(
        () => client.publish('news', 'hello'),
        (count) => count === 1,
        { what: 'a subscriber' },
      );
      expect(await heard).toBe('hello');
      expect(await client.multi().set('multi', '1').get('multi').exec()).toEqual(['OK', '1']);
      subscriber.destroy();
      expect(counters().authentications).toBe(2);
    } finally {
      client.destroy();
    }
  });
});

describe('the stream', () => {
  test('answers come in order when the AUTH is in the middle of what was sent ahead', async () => {
    const { listen, token } = await serve('valkey');
    const talk = await lab.talk(listen, true);
    const words = ['AUTH', 'iam-user', await token()];
    talk.send(
      Buffer.concat([
        command('ECHO', 'too early'),
        command('AUTH', 'iam-user', 'no token'),
        command(...words),
        command('ECHO', 'one'),
        command('AUTH', 'iam-user', 'no token'),
        command('ECHO', 'two'),
        command('HELLO', '3', 'AUTH', 'iam-user', 'no token'),
        command('ACL', 'WHOAMI'),
      ]),
    );
    const refusal = '-WRONGPASS invalid username-password pair or user is disabled.\r\n';
    const seen = await talk.until('iam-user\r\n');
    expect(seen.replace(/^-NOAUTH [^\r]*/, '-NOAUTH')).toBe(
      `-NOAUTH\r\n${refusal}+OK\r\n$3\r\none\r\n${refusal}$3\r\ntwo\r\n${refusal}$8\r\niam-user\r\n`,
    );
  });

  test('every way to cut it, as commands or inline', async () => {
    const { listen, token } = await serve('redis');
    const text = await token();
    for (const bytes of [
      Buffer.concat([command('auth', 'iam-user', text), command('ACL', 'WHOAMI')]),
      Buffer.concat([
        command('hello', '3', 'auth', 'iam-user', text, 'setname', 'me'),
        command('ACL', 'WHOAMI'),
      ]),
      Buffer.from(`AUTH iam-user ${text}\r\nACL WHOAMI\r\n`),
    ]) {
      for (const size of [1, 2, 3, 7, 50]) {
        const talk = await lab.talk(listen, true);
        talk.socket.setNoDelay(true);
        for (let at = 0; at < bytes.length; at += size) {
          await new Promise((resolve) => talk.socket.write(bytes.subarray(at, at + size), resolve));
        }
        await talk.until('$8\r\niam-user\r\n');
        talk.socket.destroy();
      }
    }
  });

  test('AUTH in a transaction drops it, as on AWS; others’ passwords pass there', async () => {
    const { listen, token, counters } = await serve('valkey');
    const talk = await lab.talk(listen, true);
    talk.send(command('AUTH', 'iam-user', await token()));
    await talk.until('+OK\r\n');
    talk.send(
      Buffer.concat([
        command('MULTI'),
        command('SET', 'in-transaction', '1'),
        command('AUTH', 'iam-user', await token()),
        command('EXEC'),
        command('EXISTS', 'in-transaction'),
      ]),
    );
    const seen = await talk.until(':0\r\n');
    expect(seen).toMatch(/^\+OK\r\n\+QUEUED\r\n-ERR [^\r]*'auth'[^\r]*\r\n-EXECABORT [^\r]*\r\n:0\r\n$/);
    expect(counters().authentications).toBe(1);
    talk.send(
      Buffer.concat([command('MULTI'), command('DISCARD'), command('AUTH', 'iam-user', await token())]),
    );
    await talk.until('+OK\r\n+OK\r\n+OK\r\n');
    talk.send(
      Buffer.concat([command('MULTI'), command('AUTH', 'passer', 'passer password'), command('EXEC')]),
    );
    await talk.until('+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n');
  });

  test.each(['valkey', 'redis'] as const)('nothing that %s shows holds what it was sent', async (name) => {
    const { listen, token } = await serve(name);
    const { host: address, port } = engines.get(name)!;
    const admin = lab.redis({ address, port }, { password: 'default password' });
    await admin.config('SET', 'slowlog-log-slower-than', '0');
    const monitor = await lab.talk(listen, true);
    monitor.send(Buffer.concat([command('AUTH', 'passer', 'passer password'), command('MONITOR')]));
    await monitor.until('+OK\r\n+OK\r\n');
    const talk = await lab.talk(listen, true);
    const text = await token();
    talk.send(
      Buffer.concat([
        command('AUTH', 'iam-user', text),
        command('HELLO', '2', 'AUTH', 'iam-user', text, 'SETNAME', 'me'),
        command('HELLO', '2', 'AUTH', 'iam-user', 'no', 'AUTH', 'iam-user', text),
        command('HELLO', '2', 'SETNAME', 'a b', 'AUTH', 'iam-user', text),
        command('HELLO', '2', 'SETNAME', 'you', 'AUTH', 'iam-user', text),
        command('CLIENT', 'GETNAME'),
        // Each is wrong in a way that only the engine sees.
        command('HELLO', '2', 'AUTH', 'iam-user', text, 'SETNAME', 'a b'),
        command('HELLO', '2', 'AUTH', 'iam-user', text, 'SETNAME'),
        command('HELLO', '4', 'AUTH', 'iam-user', text),
        command('ECHO', command('AUTH', 'iam-user', text).toString()),
        command('AUTH', 'iam-user', 'no'),
        command('SLOWLOG', 'GET', '100'),
        command('ACL', 'LOG'),
        command('CLIENT', 'LIST'),
        command('ECHO', 'over'),
      ]),
    );
    const shown = await talk.until('$4\r\nover\r\n');
    const watched = await monitor.until('"over"');
    await admin.config('SET', 'slowlog-log-slower-than', '10000');
    expect(shown).toContain('-WRONGPASS');
    expect(shown).toContain('$3\r\nyou\r\n');
    expect(watched).toContain('"AUTH" "(redacted)" "(redacted)"');
    for (const seen of [shown, watched]) expect(seen).not.toContain(hiddenPassword);
  });

  test('bytes that are no commands end it with the engine’s answers before them, and the router lives', async () => {
    const { listen, token } = await serve('valkey');
    const talk = await lab.talk(listen, true);
    talk.send(Buffer.concat([command('AUTH', 'iam-user', await token()), command('ECHO', 'one')]));
    await talk.until('one\r\n');
    talk.send('*1\n$4\r\nPING\r\n');
    await talk.until('-ERR Protocol error: invalid count\r\n');
    await talk.end();
    for (const hostile of ['\x16\x03\x01garbage', 'GET / HTTP/1.1\r\n\r\n', '*3\r\n$4\r\nAUTH\r\n']) {
      // Without TLS, and within it.
      const plain = await lab.talk(listen);
      plain.send(hostile);
      const secure = await lab.talk(listen, true);
      secure.send(hostile);
      secure.socket.end();
      plain.socket.end();
      await Promise.all([plain.end(), secure.end()]);
    }
    const fine = await lab.talk(listen, true);
    fine.send(command('AUTH', 'iam-user', await token()));
    await fine.until('+OK\r\n');
  });

  test('before authentication frames are small, behind it they are not', async () => {
    const { listen, token } = await serve('valkey');
    const large = command('SET', 'large', 'x'.repeat(100_000));
    const early = await lab.talk(listen, true);
    early.send(large);
    await early.until('-ERR Protocol error: invalid bulk length\r\n');
    await early.end();
    const talk = await lab.talk(listen, true);
    talk.send(Buffer.concat([command('AUTH', 'iam-user', await token()), large]));
    await talk.until('+OK\r\n+OK\r\n');
  });

  test('any bytes: none ends the router, and an honest client is served beside them', async () => {
    const { listen, token, router } = await serve('redis', { anonymous: true });
    const text = await token();
    const bit = fc.oneof(
      fc.constantFrom('*', '$', '\r\n', '\n', '1', '3', '-1', 'AUTH', 'HELLO', ' ', '\0', '"'),
      fc
        .constantFrom(command('AUTH', 'iam-user', text), command('MULTI'), command('PING'))
        .map((x) => x.toString()),
      fc.string({ unit: 'binary', maxLength: 30 }),
    );
    const seed = chosenSeed('hostile bytes to an iam route') & 0x7fffffff;
    await fc.assert(
      fc.asyncProperty(fc.array(bit, { maxLength: 12 }), async (bits) => {
        const talk = await lab.talk(listen, true);
        talk.send(bits.join(''));
        talk.socket.end();
        await talk.end();
      }),
      { numRuns: 150, seed },
    );
    await waitFor(
      () => router.stats()[0]!.connections,
      (open) => open === 0,
      { what: 'no connections' },
    );
    const honest = await lab.talk(listen, true);
    honest.send(Buffer.concat([command('AUTH', 'iam-user', text), command('PING')]));
    await honest.until('+OK\r\n+PONG\r\n');
  });
});

describe('time', () => {
  test('12 hours after the last token the connection is closed, and a token in between prolongs it', async () => {
    const { listen, token, counters } = await serve('valkey');
    const began = nowMs;
    const [silent, renewed, passer] = await Promise.all([1, 2, 3].map(() => lab.talk(listen, true)));
    for (const talk of [silent!, renewed!]) {
      talk.send(command('AUTH', 'iam-user', await token()));
      await talk.until('+OK\r\n');
    }
    passer!.send(command('AUTH', 'passer', 'passer password'));
    await passer!.until('+OK\r\n');

    nowMs = began + sessionLifeMs - 60_000;
    renewed!.send(command('AUTH', 'iam-user', await token()));
    await renewed!.until('+OK\r\n');
    expect(silent!.ended).toBe(false);
    nowMs = began + sessionLifeMs;
    await silent!.end();
    for (const talk of [renewed!, passer!]) {
      talk.send(command('PING'));
      await talk.until('+PONG\r\n');
    }
    // A token of another user does not prolong; that user might be one the engine refuses.
    renewed!.send(command('AUTH', 'iam-other', await token({ userId: 'iam-other' })));
    await renewed!.until('+OK\r\n');
    nowMs = began + 2 * sessionLifeMs - 60_000;
    await renewed!.end();
    passer!.send(command('PING'));
    await passer!.until('+PONG\r\n');
    expect(counters()).toMatchObject({ expirations: 2, authentications: 4 });
  });

  test('a token is good for 15 minutes', async () => {
    const { listen, token } = await serve('valkey');
    const text = await token();
    nowMs += 15 * 60_000 + 1_000;
    const talk = await lab.talk(listen, true);
    talk.send(command('AUTH', 'iam-user', text));
    await talk.until('-WRONGPASS');
  });

  test('who must authenticate and does not is closed after a while, whatever else it sends', async () => {
    const { listen, token, counters } = await serve('valkey', {}, 300);
    const [silent, talking, honest] = await Promise.all([1, 2, 3].map(() => lab.talk(listen, true)));
    honest!.send(command('AUTH', 'iam-user', await token()));
    await honest!.until('+OK\r\n');
    talking!.send(command('AUTH', 'iam-user', 'no token'));
    await Promise.all([silent!.end(), talking!.end()]);
    expect(counters()).toMatchObject({ unauthenticated: 2 });
    honest!.send(command('PING'));
    await honest!.until('+PONG\r\n');
    await serveAnonymous();

    async function serveAnonymous(): Promise<void> {
      const open = await serve('valkey', { anonymous: true }, 100);
      const [waiting, late] = await Promise.all([lab.talk(open.listen, true), lab.talk(open.listen, true)]);
      late.send(command('AUTH', 'passer', 'passer password'));
      await late.until('+OK\r\n');
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(waiting.ended).toBe(false);
    }
  });

  test('too many failures are not looked at any more, for a while', async () => {
    const { listen, token, counters } = await serve('valkey');
    const talk = await lab.talk(listen, true);
    for (let n = 0; n < 25; n += 1) talk.send(command('AUTH', 'iam-user', 'no token'));
    talk.send(command('AUTH', 'iam-user', await token()));
    talk.send(command('ECHO', 'x'));
    await talk.until('-NOAUTH');
    expect(counters()).toMatchObject({ authentications: 0, failures: 20, throttled: 6 });
    // Another user is another matter, and after a while so is this one.
    talk.send(command('AUTH', 'iam-other', await token({ userId: 'iam-other' })));
    await talk.until('+OK\r\n');
    nowMs += 1_000;
    talk.send(command('AUTH', 'iam-user', await token()));
    await talk.until('+OK\r\n');
  });
});

describe('tables', () => {
  test('users and the certificate are replaced while connections live on', async () => {
    const { router, route, listen, token } = await serve('valkey');
    const talk = await lab.talk(listen, true);
    talk.send(command('AUTH', 'iam-user', await token()));
    await talk.until('+OK\r\n');
    await lab.issue(`route-${listen.address}`, listen.address);
    await router.put('shop', 2, [{ ...route, iamUsers: route.iamUsers.slice(1) }]);
    talk.send(Buffer.concat([command('PING'), command('AUTH', 'iam-user', await token())]));
    await talk.until('+PONG\r\n-WRONGPASS');
    const next = await lab.talk(listen, true);
    const serials = [talk, next].map(({ socket }) => (socket as TLSSocket).getPeerCertificate());
    expect(serials[0]!.serialNumber).not.toBe(serials[1]!.serialNumber);
    next.send(command('AUTH', 'iam-other', await token({ userId: 'iam-other' })));
    await next.until('+OK\r\n');
  });

  test('a certificate that was renewed in its files is shown without being told', async () => {
    const { listen } = await serve('valkey');
    const serial = async () => {
      const { socket } = await lab.talk(listen, true);
      const { serialNumber } = (socket as TLSSocket).getPeerCertificate();
      socket.destroy();
      return serialNumber;
    };
    const before = await serial();
    await lab.issue(`route-${listen.address}`, listen.address);
    await waitFor(serial, (seen) => seen !== before, { what: 'the new certificate' });
  });

  test('an engine with a certificate of somebody else is not talked to', async () => {
    const other = await routerLab();
    try {
      const { listen } = await serve('valkey', {
        upstream: { address: engines.get('valkey')!.host, port: engineTlsPort, caFile: other.caFile },
      });
      const talk = await lab.talk(listen, true);
      await talk.end();
    } finally {
      await other.close();
    }
  });
});
