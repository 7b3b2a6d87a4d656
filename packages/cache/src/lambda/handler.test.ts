import { expect, test } from 'vitest';
import type { RowChange } from '../feed/source.ts';
import { EventItemsError, lambdaHandler } from './handler.ts';
import { UnreadableEventError } from './shapes.ts';

const payload = (id: number): object => ({
  v: 1,
  src: 'pg-trigger',
  schema: 'public',
  table: 't',
  op: 'INSERT',
  keys: [{ new: { id } }],
});
const sqs = (messageId: string | undefined, body: string): object => ({
  messageId,
  body,
  eventSource: 'aws:sqs',
});
const kinesis = (sequenceNumber: string, text: string): object => ({
  kinesis: { sequenceNumber, data: Buffer.from(text).toString('base64') },
  eventSource: 'aws:kinesis',
});
const kafka = (...texts: string[]): object => ({
  eventSource: 'aws:kafka',
  records: { 't-0': texts.map((text, offset) => ({ offset, value: Buffer.from(text).toString('base64') })) },
});

class Applied {
  readonly ids: string[] = [];
  readonly calls: number[] = [];
  failure: Error | undefined;
  readonly problems: string[] = [];

  readonly handle = lambdaHandler({
    cache: {
      applyEvents: async (changes: readonly RowChange[]) => {
        if (this.failure !== undefined) throw this.failure;
        this.calls.push(changes.length);
        for (const { after } of changes) this.ids.push(after!.id!);
      },
    },
    onProblem: ({ identifier, error }) => this.problems.push(`${identifier}: ${error.message}`),
  });
}

test('a batch is applied in one call', async () => {
  const applied = new Applied();
  const event = { Records: [sqs('a', JSON.stringify(payload(1))), sqs('b', JSON.stringify(payload(2)))] };
  expect(await applied.handle(event)).toEqual({ batchItemFailures: [], applied: 2 });
  expect([applied.ids, applied.calls]).toEqual([['1', '2'], [2]]);
});

test('what cannot be read is reported, the rest is applied', async () => {
  const applied = new Applied();
  const reply = await applied.handle({
    Records: [sqs('a', '{'), sqs('b', JSON.stringify(payload(2))), sqs('c', '[]')],
  });
  expect(reply).toEqual({
    batchItemFailures: [{ itemIdentifier: 'a' }, { itemIdentifier: 'c' }],
    applied: 1,
  });
  expect(applied.problems).toHaveLength(2);
  expect(await applied.handle({ Records: [kinesis('77', '?')] })).toMatchObject({
    batchItemFailures: [{ itemIdentifier: '77' }],
  });
});

test('where no single item can be reported, the batch fails after the rest was applied', async () => {
  const applied = new Applied();
  await expect(applied.handle(kafka(JSON.stringify(payload(1)), 'x'))).rejects.toThrow(EventItemsError);
  await expect(applied.handle({ Records: [sqs(undefined, '{')] })).rejects.toThrow(EventItemsError);
  await expect(applied.handle({ v: 1, src: 'pg-trigger' })).rejects.toThrow(EventItemsError);
  expect(applied.ids).toEqual(['1']);
});

test('a batch that the engine did not confirm fails as a whole, and comes again', async () => {
  const applied = new Applied();
  applied.failure = new Error('not confirmed');
  const event = { Records: [sqs('a', JSON.stringify(payload(1)))] };
  await expect(applied.handle(event)).rejects.toThrow('not confirmed');
  applied.failure = undefined;
  expect(await applied.handle(event)).toEqual({ batchItemFailures: [], applied: 1 });
});

test('an event that no source sends is refused', async () => {
  const applied = new Applied();
  for (const event of [undefined, null, 7, 'x']) {
    await expect(applied.handle(event)).rejects.toThrow(UnreadableEventError);
  }
  await expect(applied.handle({ Records: [sqs('a', '{}'), kinesis('1', '{}')] })).rejects.toThrow(
    UnreadableEventError,
  );
});
