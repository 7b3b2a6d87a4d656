import fc from 'fast-check';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { chosenSeed } from '../../../../testing/seed.ts';
import { waitFor } from '../../../../testing/wait-for.ts';
import { command, hiddenPassword, type IamLab, iamLab } from './iam-route.test-support.ts';
import { engineTlsPort } from './router.test-support.ts';

let iam: IamLab;
beforeAll(async () => {
  iam = await iamLab();
});
afterEach(() => iam.reset());
afterAll(() => iam.close());

describe.each(['valkey', 'redis'] as const)('%s, by the libraries people use', (name) => {
  test('ioredis: a token lets its user in, also as HELLO, and nobody else', async () => {
    const { listen, token, counters } = await iam.serve(name);
    const tls = { ca: iam.lab.authority.certificatePem };
    const client = iam.lab.redis(listen, { tls, username: 'iam-user', password: await token() });
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
      const other = iam.lab.redis(listen, {
        tls,
        ...credentials,
        enableReadyCheck: false,
        maxRetriesPerRequest: 0,
      });
      await expect(other.get('key')).rejects.toThrow();
      other.disconnect();
    }
    const passer = iam.lab.redis(listen, { tls, username: 'passer', password: 'passer password' });
    expect(await passer.acl('WHOAMI')).toBe('passer');
    const byDefault = iam.lab.redis(listen, { tls, password: 'default password' });
    expect(await byDefault.acl('WHOAMI')).toBe('default');
    expect(counters()).toMatchObject({ authentications: 1, failures: 3, throttled: 0 });
    expect(iam.problems.join()).toContain('A token of iam-user for shop was refused: another-cache.');
    expect(iam.problems.join()).not.toContain('X-Amz');
  });

  test('node-redis, with RESP3 and pub/sub', async () => {
    const { listen, token, counters } = await iam.serve(name);
    const client = createClient({
      RESP: 3,
      socket: { host: listen.address, port: listen.port, tls: true, ca: iam.lab.authority.certificatePem },
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

test('connections go in turn over several nodes', async () => {
  const upstream = (name: 'valkey' | 'redis') => ({
    address: iam.engine(name).host,
    port: engineTlsPort,
    caFile: iam.lab.caFile,
  });
  const { listen, token } = await iam.serve('valkey', { moreUpstreams: [upstream('redis')] });
  const names: string[] = [];
  for (let n = 0; n < 4; n += 1) {
    const tls = { ca: iam.lab.authority.certificatePem };
    const client = iam.lab.redis(listen, { tls, username: 'iam-user', password: await token() });
    names.push((await client.info('server')).includes('valkey_version') ? 'valkey' : 'redis');
  }
  expect(names.sort()).toEqual(['redis', 'redis', 'valkey', 'valkey']);
});

describe('the stream', () => {
  test('answers come in order when the AUTH is in the middle of what was sent ahead', async () => {
    const { listen, token } = await iam.serve('valkey');
    const talk = await iam.lab.talk(listen, true);
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
    const { listen, token } = await iam.serve('redis');
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
        const talk = await iam.lab.talk(listen, true);
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
    const { listen, token, counters } = await iam.serve('valkey');
    const talk = await iam.lab.talk(listen, true);
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
    const { listen, token } = await iam.serve(name);
    const { host: address, port } = iam.engine(name);
    const admin = iam.lab.redis({ address, port }, { password: 'default password' });
    await admin.config('SET', 'slowlog-log-slower-than', '0');
    const monitor = await iam.lab.talk(listen, true);
    monitor.send(Buffer.concat([command('AUTH', 'passer', 'passer password'), command('MONITOR')]));
    await monitor.until('+OK\r\n+OK\r\n');
    const talk = await iam.lab.talk(listen, true);
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
    const { listen, token } = await iam.serve('valkey');
    const talk = await iam.lab.talk(listen, true);
    talk.send(Buffer.concat([command('AUTH', 'iam-user', await token()), command('ECHO', 'one')]));
    await talk.until('one\r\n');
    talk.send('*1\n$4\r\nPING\r\n');
    await talk.until('-ERR Protocol error: invalid count\r\n');
    await talk.end();
    for (const hostile of ['\x16\x03\x01garbage', 'GET / HTTP/1.1\r\n\r\n', '*3\r\n$4\r\nAUTH\r\n']) {
      // Without TLS, and within it.
      const plain = await iam.lab.talk(listen);
      plain.send(hostile);
      const secure = await iam.lab.talk(listen, true);
      secure.send(hostile);
      secure.socket.end();
      plain.socket.end();
      await Promise.all([plain.end(), secure.end()]);
    }
    const fine = await iam.lab.talk(listen, true);
    fine.send(command('AUTH', 'iam-user', await token()));
    await fine.until('+OK\r\n');
  });

  test('before authentication frames are small, behind it they are not', async () => {
    const { listen, token } = await iam.serve('valkey');
    const large = command('SET', 'large', 'x'.repeat(100_000));
    const early = await iam.lab.talk(listen, true);
    early.send(large);
    await early.until('-ERR Protocol error: invalid bulk length\r\n');
    await early.end();
    const talk = await iam.lab.talk(listen, true);
    talk.send(Buffer.concat([command('AUTH', 'iam-user', await token()), large]));
    await talk.until('+OK\r\n+OK\r\n');
  });

  test('any bytes: none ends the router, and an honest client is served beside them', async () => {
    const { listen, token, router } = await iam.serve('redis', { anonymous: true });
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
        const talk = await iam.lab.talk(listen, true);
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
    const honest = await iam.lab.talk(listen, true);
    honest.send(Buffer.concat([command('AUTH', 'iam-user', text), command('PING')]));
    await honest.until('+OK\r\n+PONG\r\n');
  });
});
