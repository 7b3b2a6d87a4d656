import { expect, test } from 'vitest';
import type { Sighting } from '../testing/api-coverage.ts';
import { coverageOf, lossesSince } from './api-coverage/coverage.ts';
import { greenRows, renderTable } from './api-coverage/table.ts';

const model = {
  operations: ['CreateThing', 'DeleteThing', 'MoveThing', 'NameThing'],
  errors: [
    { shapeName: 'ThingNotFoundFault', wireCode: 'ThingNotFound', httpStatus: 404 },
    { shapeName: 'InvalidThingFault', wireCode: 'InvalidThing', httpStatus: 400 },
    { shapeName: 'ThingQuotaFault', wireCode: 'ThingQuota', httpStatus: 400 },
    { shapeName: 'NoThingFault', wireCode: 'NoThing', httpStatus: 400 },
  ],
};

function refused(operation: string, code: string, httpStatus: number): Sighting {
  return { operation, kind: 'error', code, httpStatus, message: '' };
}

const sightings: readonly Sighting[] = [
  { operation: 'CreateThing', kind: 'decoded' },
  { operation: 'CreateThing', kind: 'effect', what: 'a process | with a bar' },
  { operation: 'CreateThing', kind: 'effect', what: 'a process | with a bar' },
  refused('CreateThing', 'InvalidParameterValue', 400),
  { operation: 'DeleteThing', kind: 'answered' },
  refused('DeleteThing', 'ThingNotFound', 404),
  { operation: 'MoveThing', kind: 'refusal', message: 'Not *here*.' },
  refused('MoveThing', 'InvalidThing', 500),
];
const coverage = coverageOf(sightings, model, (name) => name !== 'NoThingFault');

test('an answer alone makes nothing green; refusals and codes are counted apart', () => {
  expect(coverage.totals).toEqual({
    operations: 4,
    decoded: 1,
    validated: 1,
    effect: 1,
    refusal: 1,
    unseen: 2,
    errors: 4,
    errorsSeen: 1,
    errorsWithoutRule: 1,
  });
  expect(coverage.operations[0]?.effects).toEqual(['a process | with a bar']);
  expect(coverage.errors.map(({ seen }) => seen)).toEqual(['yes', 'wrong status', 'no', 'no']);
});

test('the page tells which rows are green, also when a refusal looks like one', () => {
  expect(greenRows(renderTable(coverage))).toEqual(['CreateThing']);
  const sly = coverageOf(
    [...sightings, { operation: 'NameThing', kind: 'refusal', message: '| ✅ really' }],
    model,
    () => true,
  );
  expect(greenRows(renderTable(sly))).toEqual(['CreateThing']);
});

test('a green row that went, a wrong status and a row without anything are losses', () => {
  const losses = lossesSince(['CreateThing', 'MoveThing'], coverage).join('\n');
  expect(losses).toContain('MoveThing was green');
  expect(losses).toContain('1 operations are green; the committed table has 2');
  expect(losses).toContain("InvalidThing was seen with a status other than the model's 400");
  expect(losses).toContain('DeleteThing has neither');
  expect(losses).not.toContain('CreateThing was green');
});
