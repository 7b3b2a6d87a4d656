import { expect, test } from 'vitest';
import {
  type Change,
  dead,
  observe,
  replicatedGroup,
  replication,
  silent,
} from '../replication-group/group.test-support.ts';
import { planSave, type SaveInput } from './plan.ts';
import { saved, snapshot, source } from './snapshot.test-support.ts';

function planned(changes: Record<string, Change> = {}, more: Partial<SaveInput> = {}) {
  const observations = observe(replicatedGroup(), changes);
  const input = { snapshot: snapshot(), source: source(), observations, nowMs: 1_000_000, ...more };
  const step = planSave(input);
  return step.kind === 'save' ? step.node.clusterId : step.kind;
}

const ahead = replication({ offset: 2_000 });
const linkDown = replication({ primary: { address: '127.64.0.10', port: 6379, linkUp: false } });
const elsewhere = replication({ primary: { address: '127.64.9.9', port: 6379, linkUp: true } });

test('the replica that is the furthest on saves, so that the primary need not', () => {
  expect(planned()).toBe('shop-002');
  expect(planned({ 'shop-003': ahead })).toBe('shop-003');
});

test.each([
  ['dead', dead],
  ['silent', silent],
  ['not linked', linkDown],
  ['a replica of another', elsewhere],
  ['still receiving its data', replication({ syncInProgress: true })],
])('a replica that is %s does not', (_, change) => {
  expect(planned({ 'shop-002': change })).toBe('shop-003');
  expect(planned({ 'shop-002': change, 'shop-003': change })).toBe('shop-001');
});

test('the member that was asked for comes first, while it has the data', () => {
  const asked = (member: string) => ({
    snapshot: snapshot({ origin: { resource: 'replication-group', id: 'shop', member } }),
  });
  expect(planned({}, asked('shop-003'))).toBe('shop-003');
  expect(planned({}, asked('shop-001'))).toBe('shop-001');
  expect(planned({ 'shop-003': linkDown }, asked('shop-003'))).toBe('shop-002');
});

test('what is deleted is saved by its primary; without one by the furthest replica of its history', () => {
  const final = {
    snapshot: snapshot({ final: true }),
    source: source({ status: 'deleting', finalSnapshot: 'kept' }),
  };
  expect(planned({}, final)).toBe('shop-001');
  const orphaned = replication({ primary: { address: '127.64.0.10', port: 6379, linkUp: false }, offset: 3 });
  expect(planned({ 'shop-001': dead, 'shop-002': orphaned, 'shop-003': linkDown }, final)).toBe('shop-003');
  const foreign = replication({ replicationId: 'c'.repeat(40), primary: undefined as never });
  expect(planned({ 'shop-001': dead, 'shop-002': foreign, 'shop-003': dead }, final)).toBe('wait');
});

test('a final one waits for ever, and ends when the deletion does not wait for it', () => {
  const nobody = { 'shop-001': dead, 'shop-002': dead, 'shop-003': dead };
  const waiting = snapshot({ final: true, attempts: 100 });
  const deleting = source({ status: 'deleting', finalSnapshot: 'kept' });
  expect(planned(nobody, { snapshot: waiting, source: deleting, nowMs: 1e12 })).toBe('wait');
  expect(planned({}, { snapshot: waiting, source: source({ status: 'deleting' }) })).toBe('give-up');
});

test('one of a service in use is given up when its source goes, and after too long or too many tries', () => {
  const nobody = { 'shop-001': dead, 'shop-002': dead, 'shop-003': dead };
  expect(planned(nobody)).toBe('wait');
  expect(planned(nobody, { nowMs: 1_060_000 })).toBe('wait');
  expect(planned(nobody, { nowMs: 1_060_001 })).toBe('give-up');
  expect(planned({}, { snapshot: snapshot({ attempts: 4 }) })).toBe('shop-002');
  expect(planned({}, { snapshot: snapshot({ attempts: 5 }) })).toBe('give-up');
  expect(planned({}, { source: undefined })).toBe('give-up');
  expect(planned({}, { source: source({ status: 'deleting' }) })).toBe('give-up');
  expect(planned({}, { source: source({ shards: [] }) })).toBe('give-up');
});

test('it is finished when every shard is saved, whatever became of its source', () => {
  const done = snapshot({ shards: [{ id: '0001', slots: [], zones: [], saved }] });
  expect(planned({}, { snapshot: done })).toBe('finish');
  expect(planned({}, { snapshot: done, source: undefined })).toBe('finish');
});
