/** (pure) Answers to questions about names, hostile ones among them. */
import dnsPacket, { type Packet, type Question } from 'dns-packet';
import { describe, expect, test } from 'vitest';
import { answerQuestion, mostQuestionBytes, nameTable } from './answers.ts';

const zone = 'cache.example';
const table = nameTable([
  {
    epoch: 3,
    names: {
      zone,
      records: [
        { name: `primary.shop.${zone}`, addresses: ['10.0.1.1'] },
        { name: `reader.shop.${zone}`, addresses: ['10.0.2.1', '10.0.3.1'] },
        { name: 'primary.shop.elsewhere.example', addresses: ['10.0.9.9'] },
      ],
    },
  },
  {
    epoch: 1,
    names: {
      zone,
      records: [
        {
          name: `config.${'long-'.repeat(9)}name.${zone}`,
          addresses: Array.from({ length: 16 }, (_, index) => `10.0.4.${index}`),
        },
      ],
    },
  },
  { epoch: 7 },
]);

function ask(question: Partial<Question>, more: Partial<Packet> = {}): Buffer {
  return dnsPacket.encode({
    type: 'query',
    id: 4_711,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ type: 'A', name: `primary.shop.${zone}`, ...question }],
    ...more,
  });
}

function answer(message: Buffer, transport: 'udp' | 'tcp' = 'udp', turn = 0) {
  const bytes = answerQuestion(table, message, transport, turn);
  if (bytes === undefined) return undefined;
  const packet = dnsPacket.decode(bytes);
  return {
    ...packet,
    rcode: packet.flags! & 0x0f,
    data: packet.answers!.map((each) => ('data' in each ? each.data : undefined)),
    bytes: bytes.length,
  };
}

test('a name leads to its address for a second, with the authority of who knows', () => {
  const reply = answer(ask({}))!;
  expect(reply).toMatchObject({
    id: 4_711,
    type: 'response',
    rcode: 0,
    flag_aa: true,
    flag_rd: true,
    flag_ra: false,
  });
  expect(reply.answers).toMatchObject([{ type: 'A', ttl: 1, data: '10.0.1.1' }]);
});

test('letters are small or large, and come back as they were sent', () => {
  const name = `PriMary.shOp.${zone.toUpperCase()}`;
  const reply = answer(ask({ name }))!;
  expect(reply.questions![0]!.name).toBe(name);
  expect(reply.answers).toMatchObject([{ name, data: '10.0.1.1' }]);
});

test('of several addresses each comes first in turn', () => {
  const reader = ask({ name: `reader.shop.${zone}` });
  expect(answer(reader, 'udp', 0)!.data).toEqual(['10.0.2.1', '10.0.3.1']);
  expect(answer(reader, 'udp', 1)!.data).toEqual(['10.0.3.1', '10.0.2.1']);
});

test.each([
  ['a name that is not there', { name: `primary.stock.${zone}` }, 3],
  ['another type of a name that is there', { type: 'AAAA' }, 0],
  ['a name that only has others below it', { name: `shop.${zone}` }, 0],
  ['the domain itself', { name: zone }, 0],
] as const)('%s: nothing, and who says so', (_, question, code) => {
  const reply = answer(ask(question))!;
  expect(reply).toMatchObject({ rcode: code, flag_aa: true, answers: [] });
  expect(reply.authorities).toMatchObject([{ type: 'SOA', name: zone, ttl: 1, data: { minimum: 1 } }]);
});

test('the start of authority is told', () => {
  expect(answer(ask({ name: zone, type: 'SOA' }))!.answers).toMatchObject([{ type: 'SOA', name: zone }]);
});

test.each([
  ['a name elsewhere', { name: 'primary.shop.example' }],
  ['a name that ends alike', { name: `primary.shop.not${zone}` }],
  ['a record that was told for another domain', { name: 'primary.shop.elsewhere.example' }],
  ['the root', { name: '.' }],
  ['another class', { class: 'CH' }],
] as const)('%s is refused', (_, question) => {
  expect(answer(ask(question))).toMatchObject({ rcode: 5, flag_aa: false, answers: [], authorities: [] });
});

describe('size', () => {
  const name = `config.${'long-'.repeat(9)}name.${zone}`;

  test('what does not fit is asked for again over TCP', () => {
    expect(answer(ask({ name }))).toMatchObject({ flag_tc: true, answers: [] });
    expect(answer(ask({ name }), 'tcp')!.data).toHaveLength(16);
  });

  test('who has room says so, up to what passes everywhere', () => {
    const option = (udpPayloadSize: number) => ({
      type: 'OPT' as const,
      name: '.',
      udpPayloadSize,
      extendedRcode: 0,
      ednsVersion: 0,
      flags: 0,
      flag_do: false,
      options: [],
    });
    const short = `reader.shop.${zone}`;
    expect(answer(ask({ name: short }, { additionals: [option(1_232)] }))!.additionals).toMatchObject([
      { type: 'OPT', ednsVersion: 0 },
    ]);
    const huge = answer(ask({ name }, { additionals: [option(65_535)] }))!;
    expect([huge.flag_tc, huge.bytes <= 1_232]).toEqual([true, true]);
    const newer = answer(ask({}, { additionals: [{ ...option(1_232), ednsVersion: 1 }] }))!;
    expect(newer.additionals).toMatchObject([{ type: 'OPT', extendedRcode: 1 }]);
    expect(newer.answers).toEqual([]);
  });
});

describe('hostile messages', () => {
  const question = ask({});
  const with16 = (at: number, value: number) => {
    const message = Buffer.from(question);
    message.writeUInt16BE(value, at);
    return message;
  };

  test('what is too short, or an answer, is not answered', () => {
    for (let length = 0; length < 12; length += 1)
      expect(answer(question.subarray(0, length))).toBeUndefined();
    expect(answer(with16(2, 0x8180))).toBeUndefined();
  });

  test.each([
    ['no question', with16(4, 0)],
    ['many questions', with16(4, 65_535)],
    ['answers in a question', with16(6, 65_535)],
    ['authorities in a question', with16(8, 1)],
    ['many additional records', with16(10, 65_535)],
    ['an additional record that is not there', with16(10, 1)],
    [
      'a name that leads to itself',
      Buffer.concat([question.subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])]),
    ],
    [
      'a name that leads on',
      Buffer.concat([question.subarray(0, 12), Buffer.from([0xc0, 0xff, 0, 1, 0, 1])]),
    ],
    ['a name without an end', Buffer.concat([question.subarray(0, 12), Buffer.alloc(600, 1)])],
    [
      'a label of a kind that is not',
      Buffer.concat([question.subarray(0, 12), Buffer.from([0x80, 0, 0, 1, 0, 1])]),
    ],
    ['more bytes than a question has', Buffer.concat([question, Buffer.alloc(mostQuestionBytes)])],
  ])('%s is told to be malformed', (_, message) => {
    expect(answer(message)).toMatchObject({ id: 4_711, rcode: 1, questions: [], answers: [] });
  });

  test('orders to a server are not understood', () => {
    expect(answer(with16(2, 0x2800))).toMatchObject({ rcode: 4 });
  });

  test('letters that no name has are refused', () => {
    for (const name of ['primary shop.example', '\u0000.cache.example', 'größe.cache.example']) {
      expect(answer(ask({ name }))).toMatchObject({ rcode: 5, questions: [] });
    }
  });

  test('whatever bytes come, the answer is small and well-formed, or there is none', () => {
    let seed = 20_261_123;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % below;
    };
    const seen = new Set<number | undefined>();
    for (let run = 0; run < 20_000; run += 1) {
      const message = Buffer.from(question);
      for (let change = random(6); change >= 0; change -= 1) message[random(message.length)] = random(256);
      const cut = message.subarray(0, random(3) === 0 ? random(message.length + 1) : message.length);
      const reply = answer(cut);
      seen.add(reply?.rcode);
      if (reply !== undefined) expect(reply.bytes).toBeLessThanOrEqual(512);
    }
    console.log(`seed 20261123: answers ${[...seen].join(', ')}`);
    expect([...seen]).toEqual(expect.arrayContaining([undefined, 0, 1, 3, 5]));
  });
});
