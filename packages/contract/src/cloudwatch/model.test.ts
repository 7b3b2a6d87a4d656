import { expect, expectTypeOf, test } from 'vitest';
import { errorCatalogue } from '../errors.ts';
import {
  type CloudWatchInput,
  type CloudWatchOutput,
  cloudWatch,
  cloudWatchOperationNames,
  isCloudWatchOperationName,
} from './model.ts';

test('all operations have an input; names of an object prototype are none', () => {
  expect(cloudWatchOperationNames).toHaveLength(50);
  expect(cloudWatchOperationNames).toContain('PutMetricData');
  for (const name of ['__proto__', 'constructor', '']) expect(isCloudWatchOperationName(name)).toBe(false);
  expect(cloudWatch.operations.get('PutMetricData')?.output).toBeUndefined();
});

test('maps, bytes and unions are read', () => {
  const point = cloudWatch.operations.get('GetMetricStatistics')!.output!.members.get('Datapoints')!.shape;
  expect(point).toMatchObject({ kind: 'list', itemName: 'member' });
  const members = point.kind === 'list' && point.item.kind === 'structure' ? point.item.members : undefined;
  expect(members?.get('ExtendedStatistics')?.shape).toEqual({ kind: 'map', value: { kind: 'number' } });
  const image = cloudWatch.operations.get('GetMetricWidgetImage')!.output!;
  expect(image.members.get('MetricWidgetImage')?.shape).toEqual({ kind: 'blob' });
  const window = cloudWatch.operations.get('PutMetricAlarm')!.input.members.get('EvaluationWindow')?.shape;
  expect(window).toMatchObject({ kind: 'structure', union: true });
});

test('types follow the model', () => {
  expectTypeOf<CloudWatchInput<'PutMetricData'>['Namespace']>().toEqualTypeOf<string>();
  expectTypeOf<CloudWatchOutput<'GetDashboard'>['DashboardBody']>().toEqualTypeOf<string | undefined>();
});

test.each([
  ['ResourceNotFound', 'ResourceNotFound', 404],
  ['DashboardNotFoundError', 'ResourceNotFound', 404],
  ['ResourceNotFoundException', 'ResourceNotFoundException', 404],
  ['LimitExceededFault', 'LimitExceeded', 400],
  ['InvalidFormatFault', 'InvalidFormat', 400],
  ['DashboardInvalidInputError', 'InvalidParameterInput', 400],
  ['MissingRequiredParameterException', 'MissingParameter', 400],
  ['InternalServiceFault', 'InternalServiceError', 500],
  ['ResourceConflict', 'ResourceConflict', 409],
  ['ConcurrentModificationException', 'ConcurrentModificationException', 429],
] as const)('%s is %s with %i', (name, code, httpStatus) => {
  expect(cloudWatch.errors.get(name)).toMatchObject({ wireCode: code });
  expect(errorCatalogue.get(name)).toMatchObject({ code, httpStatus });
});
