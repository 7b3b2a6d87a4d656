/** Which services there are, and how a request says which of them it is for, and in which protocol. */
import type { ScalingHandlers } from '@larder/contract/application-auto-scaling/handlers';
import {
  applicationAutoScaling,
  scalingOperationModel,
  scalingOperationNames,
} from '@larder/contract/application-auto-scaling/model';
import type { CloudWatchHandlers } from '@larder/contract/cloudwatch/handlers';
import { cloudWatch, cloudWatchTarget } from '@larder/contract/cloudwatch/model';
import type { LogsHandlers } from '@larder/contract/cloudwatch-logs/handlers';
import { cloudWatchLogs, logsModels } from '@larder/contract/cloudwatch-logs/model';
import { MAX_PAIRS } from '@larder/contract/codec/form';
import type { Handlers } from '@larder/contract/elasticache/handlers';
import { elastiCache } from '@larder/contract/elasticache/model';
import type { SnsHandlers } from '@larder/contract/sns/handlers';
import { sns } from '@larder/contract/sns/model';
import { handlerMap, type Service } from './dispatch.ts';
import { cborProtocol, jsonProtocol, type Protocol, queryProtocol, versionOfForm } from './protocol.ts';
import type { ReadRequest } from './read-request.ts';

export interface ServiceHandlers {
  readonly handlers: Handlers;
  readonly scalingHandlers: ScalingHandlers;
  readonly cloudWatchHandlers: CloudWatchHandlers;
  readonly snsHandlers: SnsHandlers;
  readonly logsHandlers: LogsHandlers;
}

type ServiceName = 'elastiCache' | 'cloudWatch' | 'applicationAutoScaling' | 'sns' | 'cloudWatchLogs';

/** What a request says before its body is read. A form's API version comes with the body. */
export interface Spoken {
  readonly service: ServiceName;
  readonly protocol: Protocol;
}

const cborPath = `/service/${cloudWatchTarget}/operation/`;
const jsonTarget = `${cloudWatchTarget}.`;

/** A metric has up to 150 values, each with its count, and a thousand metrics fit into a request. */
const mostMetricPairs = 100_000;

const elastiCacheForm: Spoken = {
  service: 'elastiCache',
  protocol: queryProtocol(elastiCache, 'ElastiCache', MAX_PAIRS),
};
const cloudWatchForm: Spoken = {
  service: 'cloudWatch',
  protocol: queryProtocol(cloudWatch, 'CloudWatch', mostMetricPairs),
};
const snsForm: Spoken = { service: 'sns', protocol: queryProtocol(sns, 'SNS', MAX_PAIRS) };
const cloudWatchJson: Spoken = { service: 'cloudWatch', protocol: jsonProtocol('1.0', jsonTarget) };
const cloudWatchCbor: Spoken = { service: 'cloudWatch', protocol: cborProtocol(cborPath) };
const logsJson: Spoken = {
  service: 'cloudWatchLogs',
  protocol: jsonProtocol('1.1', cloudWatchLogs.targetPrefix),
};
const scalingJson: Spoken = {
  service: 'applicationAutoScaling',
  protocol: jsonProtocol('1.1', applicationAutoScaling.targetPrefix),
};

/** @param head of a request; a form counts as ElastiCache's until its version is read. */
export function spokenBy(head: { readonly path: string; readonly target: string | undefined }): Spoken {
  const { path, target = '' } = head;
  if (path.startsWith(cborPath)) return cloudWatchCbor;
  if (target.startsWith(jsonTarget)) return cloudWatchJson;
  if (target.startsWith(cloudWatchLogs.targetPrefix)) return logsJson;
  return target.startsWith(applicationAutoScaling.targetPrefix) ? scalingJson : elastiCacheForm;
}

/** What a form is for, by the API version that it names. */
const formsByVersion: ReadonlyMap<string | undefined, Spoken> = new Map([
  [cloudWatch.apiVersion, cloudWatchForm],
  [sns.apiVersion, snsForm],
]);

/** As `spoken`, or the service's own whose version a form names. */
export function spokenInBody(spoken: Spoken, request: ReadRequest): Spoken {
  if (spoken !== elastiCacheForm) return spoken;
  return formsByVersion.get(versionOfForm(request)) ?? spoken;
}

export function servicesOf(by: ServiceHandlers): Readonly<Record<ServiceName, Service>> {
  return {
    elastiCache: {
      ...elastiCache,
      title: 'ElastiCache',
      takesCompressed: false,
      handlers: handlerMap(by.handlers),
    },
    cloudWatch: {
      ...cloudWatch,
      title: 'CloudWatch',
      takesCompressed: true,
      handlers: handlerMap(by.cloudWatchHandlers),
    },
    cloudWatchLogs: {
      title: 'CloudWatch Logs',
      apiVersion: cloudWatchLogs.apiVersion,
      signingName: cloudWatchLogs.signingName,
      takesCompressed: true,
      operations: logsModels,
      handlers: handlerMap(by.logsHandlers),
    },
    sns: {
      ...sns,
      title: 'SNS',
      takesCompressed: false,
      handlers: handlerMap(by.snsHandlers),
    },
    applicationAutoScaling: {
      title: 'Application Auto Scaling',
      apiVersion: applicationAutoScaling.apiVersion,
      signingName: applicationAutoScaling.signingName,
      takesCompressed: false,
      operations: new Map(scalingOperationNames.map((name) => [name, scalingOperationModel(name)])),
      handlers: handlerMap(by.scalingHandlers),
    },
  };
}
