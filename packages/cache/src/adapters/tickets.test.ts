import { expect, test } from 'vitest';
import { FakeClock } from '../testkit/fake-clock.ts';
import type { Ticket } from './generation-entries.ts';
import { Tickets } from './tickets.ts';

const ticket = (revision: string): Ticket => ({ generations: {}, revision });

test('the oldest open question gives the ticket', () => {
  const tickets = new Tickets(new FakeClock(), 1_000);
  expect(tickets.answer('a')).toBeUndefined();
  tickets.ask('a', ticket('1'));
  tickets.ask('a', ticket('2'));
  tickets.ask('b', ticket('3'));
  expect(tickets.answer('a')).toEqual(ticket('1'));
  // One is still open, so a newer ticket isn't safe.
  tickets.ask('a', ticket('4'));
  expect(tickets.answer('a')).toEqual(ticket('1'));
  expect(tickets.answer('a')).toEqual(ticket('1'));
  expect(tickets.answer('a')).toBeUndefined();
  expect(tickets.answer('b')).toEqual(ticket('3'));
});

test('questions that are never answered are forgotten, by age and by number', () => {
  const clock = new FakeClock();
  const tickets = new Tickets(clock, 1_000);
  tickets.ask('a', ticket('1'));
  clock.advance(1_001);
  tickets.ask('a', ticket('2'));
  expect(tickets.answer('a')).toEqual(ticket('2'));
  tickets.ask('first', ticket('1'));
  for (let i = 0; i < 10_000; i += 1) tickets.ask(String(i), ticket('1'));
  expect(tickets.answer('first')).toBeUndefined();
  expect(tickets.answer('9999')).toEqual(ticket('1'));
});
