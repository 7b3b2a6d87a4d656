/** CloudWatch Logs' operations. */
import type { LogsHandlers } from '@larder/contract/cloudwatch-logs/handlers';
import type { LogsInput, LogsOutput } from '@larder/contract/cloudwatch-logs/model';
import type { Caller } from '@larder/contract/elasticache/handlers';
import { serviceError } from '@larder/contract/errors';
import { FilterPatternError, type MessageFilter, parseFilterPattern } from './filter-pattern.ts';
import {
  appendEvents,
  countOf,
  deleteGroup,
  groupExists,
  insertGroup,
  insertStream,
  type LogEvent,
  type LogPlace,
  logLimits,
  readEvents,
  readGroups,
  readStreams,
  setRetention,
} from './log-store.ts';
import type { LogDatabase } from './tables.ts';

export interface LogsContext {
  readonly logDatabase: LogDatabase;
  readonly nowMs: () => number;
}

const mostListed = 50;
const mostEvents = 10_000;
/** A page ends before it would have more of messages. */
const mostPageBytes = 1024 * 1024;
/** FilterLogEvents looks at so many events for one answer; a page may be empty and have a next one. */
const mostLookedAt = 50_000;
const lookedAtOnce = 2_000;
const mostBatchBytes = 1024 * 1024;
const perEventBytes = 26;
const dayMs = 86_400_000;
const retentionChoices = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1_096, 1_827, 2_192, 2_557, 2_922, 3_288,
  3_653,
];

export function logsHandlers(context: LogsContext): LogsHandlers {
  const { logDatabase: database, nowMs } = context;
  return {
    async CreateLogGroup(input) {
      const name = checkedGroup(input.logGroupName);
      if (input.kmsKeyId !== undefined) throw invalid('kmsKeyId', 'there is no key management service here');
      await database.transaction().execute(async (writer) => {
        if ((await countOf(writer, 'log_group')) >= logLimits.groups && !(await groupExists(writer, name))) {
          throw serviceError(
            'LimitExceededException',
            `There can be at most ${logLimits.groups} log groups.`,
          );
        }
        if (!(await insertGroup(writer, name, nowMs()))) throw exists('log group');
      });
      return {};
    },
    async DeleteLogGroup({ logGroupName }) {
      if (!(await deleteGroup(database, logGroupName))) throw missing('log group');
      return {};
    },
    async PutRetentionPolicy({ logGroupName, retentionInDays }) {
      if (!retentionChoices.includes(retentionInDays)) {
        throw invalid('retentionInDays', `it is one of ${retentionChoices.join(', ')}`);
      }
      if (!(await setRetention(database, logGroupName, retentionInDays))) throw missing('log group');
      return {};
    },
    DescribeLogGroups: (input, caller) => describeGroups(context, input, caller),
    async CreateLogStream({ logGroupName, logStreamName }) {
      checkedStream(logStreamName);
      await database.transaction().execute(async (writer) => {
        if (!(await groupExists(writer, logGroupName))) throw missing('log group');
        if ((await countOf(writer, 'log_stream')) >= logLimits.streams) {
          throw serviceError(
            'LimitExceededException',
            `There can be at most ${logLimits.streams} log streams.`,
          );
        }
        if (!(await insertStream(writer, logGroupName, logStreamName, nowMs()))) throw exists('log stream');
      });
      return {};
    },
    DescribeLogStreams: (input, caller) => describeStreams(context, input, caller),
    PutLogEvents: (input) => putEvents(context, input),
    GetLogEvents: (input) => getEvents(context, input),
    FilterLogEvents: (input) => filterEvents(context, input),
  };
}

async function describeGroups(
  { logDatabase }: LogsContext,
  input: LogsInput<'DescribeLogGroups'>,
  { region, accountId }: Caller,
): Promise<LogsOutput<'DescribeLogGroups'>> {
  const { logGroupNamePrefix: prefix, logGroupNamePattern: contains, nextToken: after } = input;
  if (prefix !== undefined && contains !== undefined) {
    throw invalid('logGroupNamePattern', 'it can not be given together with logGroupNamePrefix');
  }
  const limit = limitOf(input.limit, mostListed);
  const found = await readGroups(logDatabase, {
    ...(prefix !== undefined && { prefix }),
    ...(contains !== undefined && { contains }),
    ...(after !== undefined && { after }),
    limit: limit + 1,
  });
  return {
    logGroups: found.slice(0, limit).map(({ name, createdAtMs, retentionDays, storedBytes }) => ({
      logGroupName: name,
      creationTime: createdAtMs,
      arn: `arn:aws:logs:${region}:${accountId}:log-group:${name}:*`,
      logGroupArn: `arn:aws:logs:${region}:${accountId}:log-group:${name}`,
      storedBytes,
      retentionInDays: retentionDays ?? logLimits.retentionDays,
    })),
    ...(found.length > limit && { nextToken: found[limit - 1]!.name }),
  };
}

async function describeStreams(
  { logDatabase }: LogsContext,
  input: LogsInput<'DescribeLogStreams'>,
  { region, accountId }: Caller,
): Promise<LogsOutput<'DescribeLogStreams'>> {
  const group = await existingGroup(logDatabase, input);
  if ((input.orderBy ?? 'LogStreamName') !== 'LogStreamName' || input.descending === true) {
    throw invalid('orderBy', 'streams are listed by their names, ascending');
  }
  const limit = limitOf(input.limit, mostListed);
  const found = await readStreams(logDatabase, {
    group,
    prefix: input.logStreamNamePrefix,
    ...(input.nextToken !== undefined && { after: input.nextToken }),
    limit: limit + 1,
  });
  return {
    logStreams: found.slice(0, limit).map((each) => ({
      logStreamName: each.name,
      creationTime: each.createdAtMs,
      arn: `arn:aws:logs:${region}:${accountId}:log-group:${group}:log-stream:${each.name}`,
      firstEventTimestamp: each.firstAtMs,
      lastEventTimestamp: each.lastAtMs,
      lastIngestionTime: each.ingestedAtMs,
    })),
    ...(found.length > limit && { nextToken: found[limit - 1]!.name }),
  };
}

/** As CloudWatch Logs: those too old or too new are told and left out, the others are kept. */
async function putEvents(
  { logDatabase, nowMs }: LogsContext,
  { logGroupName, logStreamName, logEvents }: LogsInput<'PutLogEvents'>,
): Promise<LogsOutput<'PutLogEvents'>> {
  if (logEvents.length === 0) throw invalid('logEvents', 'there are none');
  const sizeBytes = logEvents.reduce(
    (sum, { message }) => sum + Buffer.byteLength(message) + perEventBytes,
    0,
  );
  if (sizeBytes > mostBatchBytes) throw invalid('logEvents', `they have up to ${mostBatchBytes} bytes`);
  const times = logEvents.map(({ timestamp }) => timestamp);
  if (!times.every((time) => Number.isInteger(time) && time >= 0)) {
    throw invalid('timestamp', 'it is a whole number of milliseconds since 1970');
  }
  if (times.some((time, index) => index > 0 && time < times[index - 1]!)) {
    throw invalid('logEvents', 'they must be in the order of their timestamps');
  }
  if (times.at(-1)! - times[0]! > dayMs) throw invalid('logEvents', 'they may not span more than 24 hours');
  const now = nowMs();
  const [group] = await readGroups(logDatabase, { prefix: logGroupName, limit: 1 });
  if (group?.name !== logGroupName) throw missing('log group');
  const kept = group.retentionDays ?? logLimits.retentionDays;
  const firstKept = times.findIndex((time) => time >= now - Math.min(14, kept) * dayMs);
  const from = firstKept === -1 ? times.length : firstKept;
  const firstTooNew = times.findIndex((time) => time > now + 2 * 3_600_000);
  const to = firstTooNew === -1 ? times.length : firstTooNew;
  await logDatabase.transaction().execute(async (writer) => {
    const stream = await writer
      .selectFrom('log_stream')
      .select('name')
      .where('group_name', '=', logGroupName)
      .where('name', '=', logStreamName)
      .executeTakeFirst();
    if (stream === undefined) throw missing('log stream');
    const events = logEvents
      .slice(from, to)
      .map(({ timestamp, message }) => ({ atMs: timestamp, message: withoutNul(message) }));
    await appendEvents(writer, logGroupName, logStreamName, events, now);
  });
  return {
    // Of no use any more, and still sent by AWS.
    nextSequenceToken: String(now),
    ...((from > 0 || to < times.length) && {
      rejectedLogEventsInfo: {
        ...(from > 0 && { tooOldLogEventEndIndex: from }),
        ...(to < times.length && { tooNewLogEventStartIndex: to }),
      },
    }),
  };
}

/** PostgreSQL has no texts with it. */
function withoutNul(message: string): string {
  return message.replaceAll('\0', '\u{fffd}');
}

async function getEvents(
  { logDatabase }: LogsContext,
  input: LogsInput<'GetLogEvents'>,
): Promise<LogsOutput<'GetLogEvents'>> {
  const group = await existingGroup(logDatabase, input);
  const stream = checkedStream(input.logStreamName);
  if ((await readStreams(logDatabase, { group, name: stream })).length === 0) throw missing('log stream');
  const token =
    input.nextToken === undefined ? undefined : /^([fb])\/(\d{1,16})\/(\d{1,16})$/.exec(input.nextToken);
  if (token === null) throw invalid('nextToken', 'it is none of ours');
  const place = token && { atMs: Number(token[2]), id: Number(token[3]) };
  const backwards = token === undefined ? input.startFromHead !== true : token[1] === 'b';
  const found = await readEvents(logDatabase, {
    group,
    streams: [stream],
    ...window(input),
    behind: place,
    newestFirst: backwards,
    limit: limitOf(input.limit, mostEvents),
  });
  const page = withinBytes(found);
  const events = backwards ? page.toReversed() : page;
  // At an end the token stays as it was: that is how clients know.
  const [oldest, newest] = [events[0] ?? placeEvent(place), events.at(-1) ?? placeEvent(place)];
  return {
    events: events.map(({ atMs, message, ingestedAtMs }) => ({
      timestamp: atMs,
      message,
      ingestionTime: ingestedAtMs,
    })),
    nextForwardToken: `f/${newest.atMs}/${newest.id}`,
    nextBackwardToken: `b/${oldest.atMs}/${oldest.id}`,
  };
}

function placeEvent(place: LogPlace | undefined): LogPlace {
  return place ?? { atMs: 0, id: 0 };
}

async function filterEvents(
  { logDatabase }: LogsContext,
  input: LogsInput<'FilterLogEvents'>,
): Promise<LogsOutput<'FilterLogEvents'>> {
  const group = await existingGroup(logDatabase, input);
  if (input.logStreamNames !== undefined && input.logStreamNamePrefix !== undefined) {
    throw invalid('logStreamNamePrefix', 'it can not be given together with logStreamNames');
  }
  const matches = readPattern(input.filterPattern ?? '');
  const limit = limitOf(input.limit, mostEvents);
  let behind = readToken(input.nextToken);
  const events: LogEvent[] = [];
  let sizeBytes = 0;
  let more = true;
  scan: for (let looked = 0; more && looked < mostLookedAt && events.length < limit; ) {
    const found = await readEvents(logDatabase, {
      group,
      streams: input.logStreamNames,
      streamPrefix: input.logStreamNamePrefix,
      ...window(input),
      behind,
      limit: lookedAtOnce,
    });
    more = found.length === lookedAtOnce;
    looked += found.length;
    for (const [index, event] of found.entries()) {
      if (matches(event.message)) {
        sizeBytes += Buffer.byteLength(event.message);
        if (events.length > 0 && sizeBytes > mostPageBytes) {
          more = true;
          break scan;
        }
        events.push(event);
      }
      behind = event;
      if (events.length === limit) {
        more ||= index < found.length - 1;
        break;
      }
    }
  }
  return {
    events: events.map(({ id, streamName, atMs, message, ingestedAtMs }) => ({
      logStreamName: streamName,
      timestamp: atMs,
      message,
      ingestionTime: ingestedAtMs,
      eventId: String(id),
    })),
    searchedLogStreams: [],
    ...(more && behind !== undefined && { nextToken: `${behind.atMs}/${behind.id}` }),
  };
}

function readPattern(pattern: string): MessageFilter {
  try {
    return parseFilterPattern(pattern);
  } catch (error) {
    if (!(error instanceof FilterPatternError)) throw error;
    throw invalid('filterPattern', error.message);
  }
}

function readToken(token: string | undefined): LogPlace | undefined {
  if (token === undefined) return undefined;
  const found = /^(\d{1,16})\/(\d{1,16})$/.exec(token);
  if (found === null) throw invalid('nextToken', 'it is none of ours');
  return { atMs: Number(found[1]), id: Number(found[2]) };
}

/** At least one, whatever its length. */
function withinBytes(events: readonly LogEvent[]): readonly LogEvent[] {
  let sizeBytes = 0;
  const end = events.findIndex(({ message }, index) => {
    sizeBytes += Buffer.byteLength(message);
    return index > 0 && sizeBytes > mostPageBytes;
  });
  return end === -1 ? events : events.slice(0, end);
}

function window({
  startTime,
  endTime,
}: {
  readonly startTime?: number | undefined;
  readonly endTime?: number | undefined;
}) {
  return {
    fromMs: whole('startTime', startTime ?? 0),
    toMs: whole('endTime', endTime ?? Number.MAX_SAFE_INTEGER),
  };
}

function whole(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid(name, 'it is a whole number of milliseconds since 1970');
}

function limitOf(asked: number | undefined, most: number): number {
  if (asked === undefined) return most;
  if (Number.isInteger(asked) && asked >= 1 && asked <= most) return asked;
  throw invalid('limit', `it is a whole number from 1 to ${most}`);
}

async function existingGroup(
  database: LogDatabase,
  input: { readonly logGroupName?: string | undefined; readonly logGroupIdentifier?: string | undefined },
): Promise<string> {
  const { logGroupName, logGroupIdentifier } = input;
  const given =
    logGroupName ??
    logGroupIdentifier?.replace(/^arn:aws[a-z-]*:logs:[^:]*:\d*:log-group:([^:]*)(:\*)?$/, '$1');
  if (given === undefined) throw invalid('logGroupName', 'it is missing');
  if (!(await groupExists(database, given))) throw missing('log group');
  return given;
}

function checkedGroup(name: string): string {
  if (/^[.\-_/#A-Za-z0-9]{1,512}$/.test(name)) return name;
  throw invalid('logGroupName', 'it has letters, digits and . - _ / #');
}

function checkedStream(name: string): string {
  if (/^[^:*\p{Cc}]{1,512}$/u.test(name)) return name;
  throw invalid('logStreamName', 'it has no : and no *');
}

function missing(what: 'log group' | 'log stream') {
  return serviceError('ResourceNotFoundException', `The specified ${what} does not exist.`);
}

function exists(what: 'log group' | 'log stream') {
  return serviceError('ResourceAlreadyExistsException', `The specified ${what} already exists`);
}

function invalid(name: string, because: string) {
  return serviceError('InvalidParameterException', `${name} is not valid: ${because}.`);
}
