/** Which engine, version, node type and port a request means. */
import { serviceError } from '@larder/contract/errors';
import { type EngineName, engineTraits, isEngineName } from '@larder/engine/engine';
import { defaultNodeType, nodeTypes } from '@larder/engine/node-type';
import type { EngineStore } from '@larder/engine/store/engine-store';

export interface EngineRequest {
  readonly Engine?: string | undefined;
  readonly EngineVersion?: string | undefined;
  readonly CacheNodeType?: string | undefined;
  readonly Port?: number | undefined;
}

export interface EngineChoice {
  readonly engine: EngineName;
  /** Whole, of a build in the store. */
  readonly engineVersion: string;
  readonly nodeType: string;
  readonly port: number;
}

/** Ports above are handed out to outgoing connections; the bus port of cluster mode lies 10,000 higher. */
const highestPort = 22_767;

/** @throws ServiceError InvalidParameterValue for what does not exist here, with what does. */
export async function chooseEngine(
  store: EngineStore,
  request: EngineRequest,
  fallback: EngineName,
): Promise<EngineChoice> {
  const name = (request.Engine ?? fallback).toLowerCase();
  if (!isEngineName(name)) {
    throw serviceError(
      'InvalidParameterValueException',
      `The engine ${request.Engine} does not exist; there are valkey, redis and memcached.`,
    );
  }
  const build = await store.find(name, request.EngineVersion ?? undefined);
  if (build === undefined) {
    const wanted = request.EngineVersion ?? engineTraits[name].defaultVersion;
    const here = (await store.list()).filter(({ engine }) => engine === name).map(({ version }) => version);
    throw serviceError(
      'InvalidParameterValueException',
      `${engineTraits[name].title} ${wanted} is not installed here` +
        (here.length > 0 ? `; installed: ${here.join(', ')}.` : '.'),
      { hint: `Run "larder engines install ${name} ${wanted}".` },
    );
  }
  const nodeType = request.CacheNodeType ?? defaultNodeType;
  if (!nodeTypes.has(nodeType)) {
    throw serviceError(
      'InvalidParameterValueException',
      `The node type ${nodeType} is not known; the smallest is ${defaultNodeType}.`,
    );
  }
  const port = request.Port ?? engineTraits[name].defaultPort;
  if (port < 1024 || port > highestPort) {
    throw serviceError(
      'InvalidParameterValueException',
      `Port must be between 1024 and ${highestPort}; it is ${port}.`,
    );
  }
  return { engine: name, engineVersion: build.version, nodeType, port };
}

/** `default.valkey9`, `default.redis7.cluster.on`, `default.memcached1.6`. */
export function defaultParameterGroup(engine: EngineName, version: string, clusterEnabled: boolean): string {
  const [major, minor] = version.split('.');
  const family = engine === 'memcached' ? `memcached${major}.${minor}` : `${engine}${major}`;
  return `default.${family}${clusterEnabled ? '.cluster.on' : ''}`;
}
