/** Tokens and time, and an `iam` route that is replaced by another. */
import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../../../../testing/wait-for.ts';
import { command, type IamLab, iamLab } from './iam-route.test-support.ts';
import { sessionLifeMs } from './iam-session.ts';
import { engineTlsPort, routerLab } from './router.test-support.ts';

let iam: IamLab;
beforeAll(async () => {
  iam = await iamLab();
});
afterEach(() => iam.reset());
afterAll(() => iam.close());

describe('time', () => {
  test('12 hours after the last token the connection is closed, and a token in between prolongs it', async () => {
    const { listen, token, counters } = await iam.serve('valkey');
    const began = iam.nowMs;
    const [silent, renewed, passer] = await Promise.all([1, 2, 3].map(() => iam.lab.talk(listen, true)));
    for (const talk of [silent!, renewed!]) {
      talk.send(command('AUTH', 'iam-user', await token()));
      await talk.until('+OK\r\n');
    }
    passer!.send(command('AUTH', 'passer', 'passer password'));
    await passer!.until('+OK\r\n');

    iam.nowMs = began + sessionLifeMs - 60_000;
    renewed!.send(command('AUTH', 'iam-user', await token()));
    await renewed!.until('+OK\r\n');
    expect(silent!.ended).toBe(false);
    iam.nowMs = began + sessionLifeMs;
    await silent!.end();
    for (const talk of [renewed!, passer!]) {
      talk.send(command('PING'));
      await talk.until('+PONG\r\n');
    }
    // A token of another user does not prolong; that user might be one the engine refuses.
    renewed!.send(command('AUTH', 'iam-other', await token({ userId: 'iam-other' })));
    await renewed!.until('+OK\r\n');
    iam.nowMs = began + 2 * sessionLifeMs - 60_000;
    await renewed!.end();
    passer!.send(command('PING'));
    await passer!.until('+PONG\r\n');
    expect(counters()).toMatchObject({ expirations: 2, authentications: 4 });
  });

  test('a token is good for 15 minutes', async () => {
    const { listen, token } = await iam.serve('valkey');
    const text = await token();
    iam.nowMs += 15 * 60_000 + 1_000;
    const talk = await iam.lab.talk(listen, true);
    talk.send(command('AUTH', 'iam-user', text));
    await talk.until('-WRONGPASS');
  });

  test('who must authenticate and does not is closed after a while, whatever else it sends', async () => {
    const { listen, token, counters } = await iam.serve('valkey', {}, 300);
    const [silent, talking, honest] = await Promise.all([1, 2, 3].map(() => iam.lab.talk(listen, true)));
    honest!.send(command('AUTH', 'iam-user', await token()));
    await honest!.until('+OK\r\n');
    talking!.send(command('AUTH', 'iam-user', 'no token'));
    await Promise.all([silent!.end(), talking!.end()]);
    expect(counters()).toMatchObject({ unauthenticated: 2 });
    honest!.send(command('PING'));
    await honest!.until('+PONG\r\n');
    await serveAnonymous();

    async function serveAnonymous(): Promise<void> {
      const open = await iam.serve('valkey', { anonymous: true }, 100);
      const [waiting, late] = await Promise.all([
        iam.lab.talk(open.listen, true),
        iam.lab.talk(open.listen, true),
      ]);
      late.send(command('AUTH', 'passer', 'passer password'));
      await late.until('+OK\r\n');
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(waiting.ended).toBe(false);
    }
  });

  test('too many failures are not looked at any more, for a while', async () => {
    const { listen, token, counters } = await iam.serve('valkey');
    const talk = await iam.lab.talk(listen, true);
    for (let n = 0; n < 25; n += 1) talk.send(command('AUTH', 'iam-user', 'no token'));
    talk.send(command('AUTH', 'iam-user', await token()));
    talk.send(command('ECHO', 'x'));
    await talk.until('-NOAUTH');
    expect(counters()).toMatchObject({ authentications: 0, failures: 20, throttled: 6 });
    // Another user is another matter, and after a while so is this one.
    talk.send(command('AUTH', 'iam-other', await token({ userId: 'iam-other' })));
    await talk.until('+OK\r\n');
    iam.nowMs += 1_000;
    talk.send(command('AUTH', 'iam-user', await token()));
    await talk.until('+OK\r\n');
  });
});

describe('tables', () => {
  test('users and the certificate are replaced while connections live on', async () => {
    const { router, route, listen, token } = await iam.serve('valkey');
    const talk = await iam.lab.talk(listen, true);
    talk.send(command('AUTH', 'iam-user', await token()));
    await talk.until('+OK\r\n');
    await iam.lab.issue(`route-${listen.address}`, listen.address);
    await router.put('shop', 2, [{ ...route, iamUsers: route.iamUsers.slice(1) }]);
    talk.send(Buffer.concat([command('PING'), command('AUTH', 'iam-user', await token())]));
    await talk.until('+PONG\r\n-WRONGPASS');
    const next = await iam.lab.talk(listen, true);
    const serials = [talk, next].map(({ socket }) => (socket as TLSSocket).getPeerCertificate());
    expect(serials[0]!.serialNumber).not.toBe(serials[1]!.serialNumber);
    next.send(command('AUTH', 'iam-other', await token({ userId: 'iam-other' })));
    await next.until('+OK\r\n');
  });

  test('a certificate that was renewed in its files is shown without being told', async () => {
    const { listen } = await iam.serve('valkey');
    const serial = async () => {
      const { socket } = await iam.lab.talk(listen, true);
      const { serialNumber } = (socket as TLSSocket).getPeerCertificate();
      socket.destroy();
      return serialNumber;
    };
    const before = await serial();
    await iam.lab.issue(`route-${listen.address}`, listen.address);
    await waitFor(serial, (seen) => seen !== before, { what: 'the new certificate' });
  });

  test('an engine with a certificate of somebody else is not talked to', async () => {
    const other = await routerLab();
    try {
      const { listen } = await iam.serve('valkey', {
        upstream: { address: iam.engine('valkey').host, port: engineTlsPort, caFile: other.caFile },
      });
      const talk = await iam.lab.talk(listen, true);
      await talk.end();
    } finally {
      await other.close();
    }
  });
});
