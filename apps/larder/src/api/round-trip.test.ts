/**
 * The real SDK client against the real server, for every operation: what it sends is what the handler receives, and
 * what the handler returns is what it reads. Values are generated from the model.
 */

import * as sdk from '@aws-sdk/client-elasticache';
import type { Handlers } from '@larder/contract/elasticache/handlers';
import { elastiCache, operationModel, operationNames } from '@larder/contract/elasticache/model';
import type { Shape, StructureShape } from '@larder/contract/service-model';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decoded } from '../../../../testing/api-coverage.ts';
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
  const output = model.output === undefined ? fc.constant({}) : structure(model.output, 'output');
  await fc.assert(
    fc.asyncProperty(structure(model.input, 'input'), output, async (sent, returned) => {
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

type Direction = 'input' | 'output';

function structure(shape: StructureShape, direction: Direction): fc.Arbitrary<object> {
  const members = [...shape.members.values()];
  const required = members.filter((member) => member.required).map((member) => member.name);
  // An empty structure has no form in a query, so a nested one in a request always has a member.
  const first = members[0]?.name;
  const requiredKeys = required.length === 0 && first !== undefined ? [first] : required;
  return fc.record(
    Object.fromEntries(members.map((member) => [member.name, value(member.shape, direction)])),
    { requiredKeys: direction === 'input' ? requiredKeys : required, noNullPrototype: true },
  );
}

function value(shape: Shape, direction: Direction): fc.Arbitrary<unknown> {
  switch (shape.kind) {
    case 'string':
      return direction === 'input' ? fc.string({ unit: 'binary' }) : xmlText;
    case 'boolean':
      return fc.boolean();
    case 'number':
      return direction === 'input' ? fc.integer() : fc.oneof(fc.integer(), doubles);
    case 'timestamp':
      return fc.date({
        min: new Date('0001-01-01T00:00:00Z'),
        max: new Date('9999-12-31T23:59:59.999Z'),
        noInvalidDate: true,
      });
    case 'list':
      return fc.array(value(shape.item, direction), { maxLength: 3 });
    case 'structure':
      return structure(shape, direction);
  }
}

const doubles = fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0);

/**
 * Text that XML can hold (no control characters but tab and line breaks) and the SDK can read: it takes blank text
 * with a line break in it for indentation.
 */
const xmlText = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom(...'\t\n\r <>&"\'\u0085\u2028'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    ),
  })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it removes.
  .map((text) => text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, ''))
  .map((text) => (text.trim() === '' && text.includes('\n') ? `x${text}` : text));
