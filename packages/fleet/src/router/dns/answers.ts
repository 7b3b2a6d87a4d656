/**
 * (pure) What a question of the domain name system is answered with: endpoints' names lead to nodes' addresses. Answers
 * are believed for a second, so that clients who connect anew find who took over.
 */
import dnsPacket, { type Answer, type DecodedPacket, type Packet, type Question } from 'dns-packet';
import type { MasterEntry } from '../sentinel/masters.ts';

/** What there is, all in small letters. */
export interface NameTable {
  readonly zones: ReadonlySet<string>;
  /** Full names. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** Names that have others below them and nothing of their own. */
  readonly between: ReadonlySet<string>;
}

export const mostQuestionBytes = 4_096;

const lifeSeconds = 1;
const headerBytes = 12;
const leastUdpBytes = 512;
/** What passes every network in one piece. */
const mostUdpBytes = 1_232;
const mostAdditionals = 2;
const rcode = { noError: 0, formatError: 1, noSuchName: 3, notImplemented: 4, refused: 5 } as const;
/** Its upper bits go into EDNS. */
const badVersion = 16;
const hostName = /^[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*$/;

export function nameTable(entries: Iterable<MasterEntry>): NameTable {
  const zones = new Set<string>();
  const addresses = new Map<string, readonly string[]>();
  const between = new Set<string>();
  for (const { names } of entries) {
    if (names === undefined) continue;
    const zone = names.zone.toLowerCase();
    zones.add(zone);
    for (const record of names.records) {
      const name = record.name.toLowerCase();
      if (!isBelow(name, zone)) continue;
      addresses.set(name, record.addresses);
      let above = parentOf(name);
      for (; isBelow(above, zone); above = parentOf(above)) between.add(above);
    }
  }
  return { zones, addresses, between };
}

/**
 * @param turn rises with every question: whoever has several addresses is led to each of them first in turn.
 * @returns undefined for what is no question at all: it is not answered, so that two servers never talk to each other.
 */
export function answerQuestion(
  table: NameTable,
  message: Buffer,
  transport: 'udp' | 'tcp',
  turn: number,
): Buffer | undefined {
  if (message.length < headerBytes || (message[2]! & 0x80) !== 0) return undefined;
  const id = message.readUInt16BE(0);
  const bare = (code: number) => dnsPacket.encode({ type: 'response', id, flags: code });
  if (message.length > mostQuestionBytes) return bare(rcode.formatError);
  if (((message[2]! >> 3) & 0x0f) !== 0) return bare(rcode.notImplemented);
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) => message.readUInt16BE(at));
  // Counted before anything is made room for.
  if (questions !== 1 || answers! + authorities! > 0 || additionals! > mostAdditionals) {
    return bare(rcode.formatError);
  }
  let asked: DecodedPacket;
  try {
    asked = dnsPacket.decode(message);
  } catch {
    return bare(rcode.formatError);
  }
  const question = asked.questions![0]!;
  // What can't be written back as it came is nobody's name here.
  if (question.name.length > 253 || !hostName.test(question.name)) return bare(rcode.refused);

  const option = asked.additionals!.find((each) => each.type === 'OPT');
  const unknownVersion = option !== undefined && option.ednsVersion > 0;
  const found = unknownVersion ? { code: badVersion } : look(table, question, turn);
  const packet: Packet = {
    type: 'response',
    id,
    flags:
      (found.zone === undefined ? 0 : dnsPacket.AUTHORITATIVE_ANSWER) |
      recursionDesired(asked) |
      (found.code & 0x0f),
    questions: [question],
    answers: found.answers ?? [],
    authorities: found.zone !== undefined && (found.answers ?? []).length === 0 ? [startOf(found.zone)] : [],
    additionals: option === undefined ? [] : [optionFor(found.code)],
  };
  const bytes = dnsPacket.encode(packet);
  const room = Math.min(Math.max(option?.udpPayloadSize ?? 0, leastUdpBytes), mostUdpBytes);
  if (transport === 'tcp' || bytes.length <= room) return bytes;
  return dnsPacket.encode({
    ...packet,
    flags: packet.flags! | dnsPacket.TRUNCATED_RESPONSE,
    answers: [],
    authorities: [],
  });
}

interface Found {
  readonly code: number;
  /** Undefined: the name is not ours. */
  readonly zone?: string;
  readonly answers?: Answer[];
}

function look({ zones, addresses, between }: NameTable, question: Question, turn: number): Found {
  const name = question.name.toLowerCase();
  const zone = [...zones].find((each) => name === each || isBelow(name, each));
  if (zone === undefined || (question.class !== undefined && question.class !== 'IN'))
    return { code: rcode.refused };
  const own = addresses.get(name);
  if (own === undefined) {
    if (name === zone && question.type === 'SOA')
      return { code: rcode.noError, zone, answers: [startOf(zone)] };
    return { code: name === zone || between.has(name) ? rcode.noError : rcode.noSuchName, zone };
  }
  // ANY is not in the type's list, and asks for whatever there is.
  const wanted = question.type === 'A' || (question.type as string) === 'ANY';
  if (!wanted) return { code: rcode.noError, zone };
  const first = own.length === 0 ? 0 : turn % own.length;
  const answers = [...own.slice(first), ...own.slice(0, first)].map(
    (data): Answer => ({ type: 'A', class: 'IN', name: question.name, ttl: lifeSeconds, data }),
  );
  return { code: rcode.noError, zone, answers };
}

/** Says also for how long it is believed that there is nothing. */
function startOf(zone: string): Answer {
  return {
    type: 'SOA',
    class: 'IN',
    name: zone,
    ttl: lifeSeconds,
    data: {
      mname: zone,
      rname: `hostmaster.${zone}`,
      serial: 1,
      refresh: lifeSeconds,
      retry: lifeSeconds,
      expire: lifeSeconds,
      minimum: lifeSeconds,
    },
  };
}

function optionFor(code: number): Answer {
  return {
    type: 'OPT',
    name: '.',
    udpPayloadSize: mostUdpBytes,
    extendedRcode: code >> 4,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
}

function recursionDesired({ flag_rd }: DecodedPacket): number {
  return flag_rd ? dnsPacket.RECURSION_DESIRED : 0;
}

function isBelow(name: string, zone: string): boolean {
  return name.endsWith(`.${zone}`);
}

function parentOf(name: string): string {
  const dot = name.indexOf('.');
  return dot === -1 ? '' : name.slice(dot + 1);
}
