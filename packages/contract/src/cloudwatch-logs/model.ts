/**
 * CloudWatch Logs' API as data and as types: the operations that write and read logs, and of their shapes what has a meaning
 * here. Names, bounds and error codes are those of API version 2014-03-28.
 */
import {
  type DescribedOperation,
  flag,
  list,
  modelOf,
  number,
  operation,
  structure,
  text,
} from '../described.ts';
import type { OperationModel } from '../service-model.ts';

export const cloudWatchLogs = {
  apiVersion: '2014-03-28',
  signingName: 'logs',
  /** `X-Amz-Target: Logs_20140328.PutLogEvents` */
  targetPrefix: 'Logs_20140328.',
  /** Code -> HTTP status. ResourceNotFoundException, which it has as well, is CloudWatch's own. */
  errors: {
    InvalidParameterException: 400,
    ResourceAlreadyExistsException: 400,
  },
} as const;

export type LogsErrorName = keyof typeof cloudWatchLogs.errors;

const groupName = text({ least: 1, most: 512 });
const streamName = text({ least: 1, most: 512 });
const identifier = text({ least: 1, most: 2048 });
const token = text({ least: 1, most: 2048 });
const nothing = structure('Nothing', {}, {});
const group = { logGroupName: groupName, logGroupIdentifier: identifier };

const operations = {
  CreateLogGroup: operation(
    structure(
      'CreateLogGroupRequest',
      { logGroupName: groupName },
      { kmsKeyId: text(), logGroupClass: text() },
    ),
    nothing,
  ),
  DeleteLogGroup: operation(structure('DeleteLogGroupRequest', { logGroupName: groupName }, {}), nothing),
  PutRetentionPolicy: operation(
    structure('PutRetentionPolicyRequest', { logGroupName: groupName, retentionInDays: number }, {}),
    nothing,
  ),
  DescribeLogGroups: operation(
    structure(
      'DescribeLogGroupsRequest',
      {},
      { logGroupNamePrefix: groupName, logGroupNamePattern: text(), nextToken: token, limit: number },
    ),
    structure(
      'DescribeLogGroupsResponse',
      {},
      {
        logGroups: list(
          structure(
            'LogGroup',
            {
              logGroupName: groupName,
              creationTime: number,
              arn: text(),
              logGroupArn: text(),
              storedBytes: number,
            },
            { retentionInDays: number },
          ),
        ),
        nextToken: token,
      },
    ),
  ),
  CreateLogStream: operation(
    structure('CreateLogStreamRequest', { logGroupName: groupName, logStreamName: streamName }, {}),
    nothing,
  ),
  DescribeLogStreams: operation(
    structure(
      'DescribeLogStreamsRequest',
      {},
      {
        ...group,
        logStreamNamePrefix: streamName,
        orderBy: text(),
        descending: flag,
        nextToken: token,
        limit: number,
      },
    ),
    structure(
      'DescribeLogStreamsResponse',
      {},
      {
        logStreams: list(
          structure(
            'LogStream',
            { logStreamName: streamName, creationTime: number, arn: text() },
            {
              firstEventTimestamp: number,
              lastEventTimestamp: number,
              lastIngestionTime: number,
              uploadSequenceToken: text(),
            },
          ),
        ),
        nextToken: token,
      },
    ),
  ),
  PutLogEvents: operation(
    structure(
      'PutLogEventsRequest',
      {
        logGroupName: groupName,
        logStreamName: streamName,
        logEvents: list(
          structure('InputLogEvent', { timestamp: number, message: text({ least: 1, most: 262_144 }) }, {}),
          10_000,
        ),
      },
      { sequenceToken: text() },
    ),
    structure(
      'PutLogEventsResponse',
      { nextSequenceToken: text() },
      {
        rejectedLogEventsInfo: structure(
          'RejectedLogEventsInfo',
          {},
          {
            tooNewLogEventStartIndex: number,
            tooOldLogEventEndIndex: number,
            expiredLogEventEndIndex: number,
          },
        ),
      },
    ),
  ),
  GetLogEvents: operation(
    structure(
      'GetLogEventsRequest',
      { logStreamName: streamName },
      { ...group, startTime: number, endTime: number, nextToken: token, limit: number, startFromHead: flag },
    ),
    structure(
      'GetLogEventsResponse',
      {
        events: list(
          structure('OutputLogEvent', { timestamp: number, message: text(), ingestionTime: number }, {}),
        ),
        nextForwardToken: token,
        nextBackwardToken: token,
      },
      {},
    ),
  ),
  FilterLogEvents: operation(
    structure(
      'FilterLogEventsRequest',
      {},
      {
        ...group,
        logStreamNames: list(streamName, 100),
        logStreamNamePrefix: streamName,
        startTime: number,
        endTime: number,
        filterPattern: text({ least: 0, most: 1024 }),
        nextToken: token,
        limit: number,
        interleaved: flag,
      },
    ),
    structure(
      'FilterLogEventsResponse',
      {
        events: list(
          structure(
            'FilteredLogEvent',
            {
              logStreamName: streamName,
              timestamp: number,
              message: text(),
              ingestionTime: number,
              eventId: text(),
            },
            {},
          ),
        ),
        searchedLogStreams: list(nothing),
      },
      { nextToken: token },
    ),
  ),
};

export type LogsOperationName = keyof typeof operations;

/** What a handler receives: decoded, of the modelled types, every required member present. */
export type LogsInput<Op extends LogsOperationName> =
  (typeof operations)[Op] extends DescribedOperation<infer Request, unknown> ? Request : never;

export type LogsOutput<Op extends LogsOperationName> =
  (typeof operations)[Op] extends DescribedOperation<unknown, infer Result> ? Result : never;

export const logsModels: ReadonlyMap<string, OperationModel> = new Map(
  Object.entries(operations).map(([name, described]) => [name, modelOf(name, described)]),
);
