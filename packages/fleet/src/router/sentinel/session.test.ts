import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeCommand } from '../resp-skimmer.ts';
import type { SentinelState } from './answers.ts';
import { matchesGlob } from './glob.ts';
import { eventsBetween, type SentinelMaster } from './masters.ts';
import { SentinelSession } from './session.ts';

const shop: SentinelMaster = {
  name: 'shop',
  address: '127.64.0.10',
  port: 6379,
  up: true,
  replicas: [
    { address: '127.64.0.11', port: 6379, up: true, linkUp: true },
    { address: '127.64.0.12', port: 6379, up: false, linkUp: false },
  ],
};
const state: SentinelState = {
  id: 'f'.repeat(40),
  masters: new Map([['shop', { epoch: 7, master: shop }]]),
};

function session(): { say: (...words: string[]) => string; client: SentinelSession } {
  const client = new SentinelSession(4, () => state);
  return { client, say: (...words) => [...client.feed(encodeCommand(words))].join('') };
}

/** Lists and words, without their lengths. */
const words = (text: string) => text.split('\r\n').filter((line) => line !== '' && !/^[$*%>]/.test(line));
const fieldOf = (text: string, name: string) => {
  const all = words(text);
  return all[all.indexOf(name) + 1];
};

describe('what Sentinel is asked', () => {
  test('where a primary is', () => {
    const { say } = session();
    expect(say('SENTINEL', 'get-master-addr-by-name', 'shop')).toBe(
      '*2\r\n$11\r\n127.64.0.10\r\n$4\r\n6379\r\n',
    );
    expect(say('sentinel', 'GET-MASTER-ADDR-BY-NAME', 'other')).toBe('*-1\r\n');
  });

  test('what is known of a primary and its replicas', () => {
    const { say } = session();
    for (const text of [say('SENTINEL', 'MASTER', 'shop'), say('SENTINEL', 'MASTERS')]) {
      expect(fieldOf(text, 'ip')).toBe('127.64.0.10');
      expect(fieldOf(text, 'flags')).toBe('master');
      expect(fieldOf(text, 'config-epoch')).toBe('7');
      expect(fieldOf(text, 'num-slaves')).toBe('2');
    }
    expect(say('SENTINEL', 'SLAVES', 'shop')).toBe(say('SENTINEL', 'REPLICAS', 'shop'));
    const replicas = words(say('SENTINEL', 'REPLICAS', 'shop'));
    expect(replicas.filter((each) => each.startsWith('slave'))).toEqual([
      ...['slave', 'slave', 'slave-priority', 'slave-repl-offset'],
      ...['slave,s_down,disconnected', 'slave', 'slave-priority', 'slave-repl-offset'],
    ]);
    expect(say('SENTINEL', 'SENTINELS', 'shop')).toBe('*0\r\n');
    expect(say('SENTINEL', 'CKQUORUM', 'shop')).toMatch(/^\+OK 1 usable/);
    for (const name of ['MASTER', 'REPLICAS', 'SLAVES', 'SENTINELS', 'CKQUORUM']) {
      expect(say('SENTINEL', name, 'other')).toBe('-ERR No such master with that name\r\n');
      expect(say('SENTINEL', name)).toMatch(/^-ERR wrong number of arguments/);
    }
  });

  test('the rest of what clients begin with', () => {
    const { say } = session();
    expect(say('PING')).toBe('+PONG\r\n');
    expect(words(say('ROLE'))).toEqual(['sentinel', 'shop']);
    expect(say('INFO', 'sentinel')).toContain(
      'master0:name=shop,status=ok,address=127.64.0.10:6379,slaves=2,sentinels=1',
    );
    expect(say('SENTINEL', 'MYID')).toContain(state.id);
    expect(say('CLIENT', 'ID')).toBe(':4\r\n');
    expect(say('CLIENT', 'SETINFO', 'LIB-NAME', 'x')).toBe('+OK\r\n');
    expect(say('COMMAND')).toBe('*0\r\n');
    expect(say('AUTH', 'default', 'whatever')).toBe('+OK\r\n');
  });

  test('nothing that would change anything: the answer says what does', () => {
    const { say } = session();
    expect(say('SENTINEL', 'FAILOVER', 'shop')).toMatch(/^-ERR .*TestFailover/);
    expect(say('SENTINEL', 'REMOVE', 'shop')).toMatch(/^-ERR .*API/);
    expect(say('SENTINEL', 'IS-MASTER-DOWN-BY-ADDR', '127.64.0.10', '6379', '0', '*')).toMatch(/^-ERR/);
    expect(say('PUBLISH', 'a', 'b')).toMatch(/^-ERR unknown command/);
    expect(say('SET', 'a\r\n+OK', 'b').split('\r\n')).toHaveLength(2);
  });

  test('in the third version of the protocol maps are maps', () => {
    const { say } = session();
    expect(say('HELLO', '3')).toMatch(/^%7\r\n\$6\r\nserver/);
    expect(say('SENTINEL', 'MASTER', 'shop')).toMatch(/^%\d+\r\n\$4\r\nname/);
    expect(say('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'other')).toBe('_\r\n');
    expect(say('HELLO', '4')).toMatch(/^-NOPROTO/);
  });

  test('inline, in any pieces, many at once', () => {
    const { client } = session();
    const bytes = Buffer.concat([encodeCommand(['PING']), Buffer.from('PING\r\n\r\nping x\r\n')]);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 6 }), (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const got = at
          .slice(1)
          .flatMap((end, index) => [...client.feed(Buffer.from(bytes.subarray(at[index], end)))])
          .join('');
        expect(got).toBe('+PONG\r\n+PONG\r\n$1\r\nx\r\n');
      }),
    );
  });

  test.each([
    ['more words than any command has', '*65\r\n'],
    ['a word without end', '*1\r\n$1025\r\n'],
    ['quotes', 'SENTINEL "MASTERS"\r\n'],
    ['a header without end', `*${'1'.repeat(40)}`],
    ['an endless line', 'x'.repeat(40_000)],
  ])('%s: the last answer says so', (_, bytes) => {
    const { client } = session();
    expect([...client.feed(Buffer.from(bytes))].join('')).toMatch(/^-ERR Protocol error/);
    expect(client.ended).toBe(true);
  });

  test('any bytes make it neither throw nor keep on', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 20 }), (chunks) => {
        const { client } = session();
        for (const chunk of chunks) if (!client.ended) for (const _ of client.feed(Buffer.from(chunk)));
      }),
    );
  });
});

describe('subscriptions', () => {
  const event = { channel: '+switch-master', text: 'shop a 1 b 2' };

  test('are heard once for each channel and each pattern that fits', () => {
    const { say, client } = session();
    expect(say('SUBSCRIBE', '+switch-master', '+sdown')).toBe(
      '*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$6\r\n+sdown\r\n:2\r\n',
    );
    say('PSUBSCRIBE', '*', '[-+]sdown');
    expect(client.messages(event).map((each) => words(each)[0])).toEqual(['message', 'pmessage']);
    expect(say('PING')).toBe('*2\r\n$4\r\npong\r\n$0\r\n\r\n');
    say('UNSUBSCRIBE');
    expect(client.messages(event)).toHaveLength(1);
    say('PUNSUBSCRIBE', '*');
    expect(client.messages(event)).toEqual([]);
    expect(say('UNSUBSCRIBE')).toContain('$-1');
    expect(client.messages({ ...event, channel: '+sdown' })).toHaveLength(1);
    say('RESET');
    expect(client.messages({ ...event, channel: '+sdown' })).toEqual([]);
  });

  test('are bounded', () => {
    const { say } = session();
    for (let n = 0; n < 64; n += 1) say('PSUBSCRIBE', `p${n}`);
    expect(say('SUBSCRIBE', 'one more')).toMatch(/^-ERR at most 64/);
  });

  test('patterns are those of the engines', () => {
    const fits = (pattern: string, text: string) =>
      expect([pattern, matchesGlob(pattern, text)]).toEqual([pattern, true]);
    for (const pattern of [
      '*',
      '+*',
      '*r',
      '+switch-maste?',
      '[-+]switch*',
      '[^-]*',
      '\\+*',
      '+[a-z]witch-*',
    ]) {
      fits(pattern, '+switch-master');
    }
    for (const pattern of ['', 'switch-master', '+', '[^+]*', '*x', '?', '[a-z]*', '\\*']) {
      expect([pattern, matchesGlob(pattern, '+switch-master')]).toEqual([pattern, false]);
    }
    fc.assert(fc.property(fc.string(), fc.string(), (pattern, text) => void matchesGlob(pattern, text)));
    expect(matchesGlob('*a'.repeat(500), 'a'.repeat(499))).toBe(false);
  });
});

describe('what subscribers hear', () => {
  const channels = (before: SentinelMaster | undefined, after: SentinelMaster | undefined) =>
    eventsBetween(before, after).map(({ channel, text }) => `${channel} ${text}`);

  test('another primary: in the words of Sentinel, and each replica anew', () => {
    const moved = {
      ...shop,
      address: '127.64.0.11',
      replicas: [{ address: '127.64.0.10', port: 6379, up: true, linkUp: false }],
    };
    expect(channels(shop, moved)).toEqual([
      '+switch-master shop 127.64.0.10 6379 127.64.0.11 6379',
      '+slave slave 127.64.0.10:6379 127.64.0.10 6379 @ shop 127.64.0.11 6379',
    ]);
  });

  test('downs and ups, comings and goings', () => {
    const down = { ...shop, up: false };
    expect(channels(shop, down)[0]).toBe('+sdown master shop 127.64.0.10 6379');
    expect(channels(shop, down)[1]).toBe('+odown master shop 127.64.0.10 6379 #quorum 1/1');
    expect(channels(down, shop).map((each) => each.split(' ')[0])).toEqual(['-sdown', '-odown']);
    const back = { ...shop, replicas: shop.replicas.map((each) => ({ ...each, up: true })) };
    expect(channels(shop, back)).toEqual([
      '-sdown slave 127.64.0.12:6379 127.64.0.12 6379 @ shop 127.64.0.10 6379',
    ]);
    expect(channels(undefined, shop)).toEqual(['+monitor master shop 127.64.0.10 6379 quorum 1']);
    expect(channels(shop, undefined)).toEqual(['-monitor master shop 127.64.0.10 6379']);
    expect(channels(shop, shop)).toEqual([]);
  });
});
