/**
 * The real SDK client against the real server, for every operation: what it sends is what the handler receives, and
 * what the handler returns is what it reads. Values are generated from the model.
 */

import * as sdk from '@aws-sdk/client-elasticache';
import type { Handlers } from '@larder/contract/elasticache/handlers';
import { elastiCache, operationModel, operationNames } from '@larder/contract/elasticache/model';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decoded } from '../../../../testing/api-coverage.ts';
import { valuesOf } from './modelled-values.test-support.ts';
import { type RunningApi, startApi } from './running-api.test-support.ts';

const RUNS_PER_OPERATION = 8;

let received: unknown;
let toReturn: unknown;
let running: RunningApi;
let client: sdk.ElastiCacheClient;

beforeAll(async () => {
  const record = async (input: unknown) => {
    received = input;
    return toReturn;
  };
  const handlers = Object.fromEntries(operationNames.map((name) => [name, record])) as Handlers;
  running = await startApi({
    handlers,
    lookupAccessKey: async () => ({ secretAccessKey: 'secret', rights: 'operator' }),
  });
  client = new sdk.ElastiCacheClient({
    endpoint: running.url,
    region: 'eu-test-1',
    credentials: { accessKeyId: 'AKTEST', secretAccessKey: 'secret', sessionToken: 'to+ken/==' },
    maxAttempts: 1,
  });
});

afterAll(async () => {
  client.destroy();
  await running.close();
});

test.each(operationNames)('%s', async (name) => {
  const model = operationModel(name);
  const { input, output } = valuesOf(model, { numbers: 'int32', isXml: true });
  await fc.assert(
    fc.asyncProperty(input, output, async (sent, returned) => {
      toReturn = returned;
      const { $metadata, ...read } = await send(name, sent);
      expect(received).toEqual(sent);
      expect(read).toEqual(returned);
      expect($metadata.requestId).toBe(running.lastRequestId());
    }),
    { numRuns: RUNS_PER_OPERATION },
  );
  decoded(name);
});

test('every operation the SDK has a command for is covered', () => {
  const commands = Object.keys(sdk).filter((key) => key.endsWith('Command') && key !== '$Command');
  expect(commands.map((key) => key.slice(0, -'Command'.length)).sort()).toEqual(
    [...elastiCache.operations.keys()].sort(),
  );
});

interface SdkResult {
  $metadata: { requestId?: string };
}

/** By name the SDK's command classes share no type; each takes its input and yields its output. */
function send(name: (typeof operationNames)[number], input: object): Promise<SdkResult> {
  const exported: Readonly<Record<string, unknown>> = sdk;
  const Command = exported[`${name}Command`] as new (input: object) => never;
  return client.send(new Command(input));
}
