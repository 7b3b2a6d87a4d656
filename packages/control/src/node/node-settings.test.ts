import { digestUsers } from '@larder/engine/acl';
import type { NodeSettings } from '@larder/fleet/host';
import { describe, expect, test } from 'vitest';
import { planNodeSettings, renewBeforeMs } from './node-settings.ts';
import { portsOf, type WantedNode } from './wanted-node.ts';

const nowMs = 1_000_000;
const users = [{ name: 'default', rules: ['on', 'nopass'] }];
const wanted: WantedNode = {
  plainPort: 6379,
  tlsPort: 0,
  maxmemoryBytes: 1_000,
  maxConnections: 50,
  parameters: { timeout: '20', databases: '16', 'new-in-9': 'yes' },
  atStart: new Set(['databases']),
  users,
  replication: { user: 'larder-replica', password: 'x' },
};
const seen: NodeSettings = {
  plainPort: 6379,
  tlsPort: 0,
  parameters: { timeout: '20', databases: '16', maxmemory: '1000', maxclients: '50', 'nobody-decides': '7' },
  users: digestUsers(users),
};
const planned = (change: Partial<NodeSettings>, expectsChange = false) =>
  planNodeSettings({ ...seen, ...change }, wanted, expectsChange, nowMs);

describe('the settings of a node', () => {
  test('are left alone when they are what they are to be; what the engine does not know is not asked of it', () => {
    expect(planned({})).toEqual({ steps: [], parameterStatus: 'in-sync' });
  });

  test('are set where they differ, as drift unless something was asked for', () => {
    const parameters = { ...seen.parameters, timeout: '0', maxmemory: '5' };
    expect(planned({ parameters })).toMatchObject({
      steps: [{ kind: 'configure', parameters: { timeout: '20', maxmemory: '1000' }, drift: true }],
      parameterStatus: 'applying',
    });
    expect(planned({ parameters }, true).steps).toMatchObject([{ drift: false }]);
  });

  test('wait for a restart where only a start can change them', () => {
    expect(planned({ parameters: { ...seen.parameters, databases: '4' } })).toEqual({
      steps: [],
      parameterStatus: 'pending-reboot',
    });
  });

  test('users, ports and a certificate that ends soon', () => {
    expect(planned({ users: undefined }).steps).toMatchObject([{ kind: 'set-users', users }]);
    expect(planned({ plainPort: 6380, tlsPort: 6381 }).steps).toMatchObject([
      { kind: 'set-ports', ports: { plainPort: 6379, tlsPort: 0 } },
    ]);
    expect(planned({ certificateEndsAtMs: nowMs + renewBeforeMs - 1 }).steps).toMatchObject([
      { kind: 'renew-certificate' },
    ]);
    expect(planned({ certificateEndsAtMs: nowMs + renewBeforeMs }).steps).toEqual([]);
  });
});

test('an engine keeps the port clients know unless the router stands before it', () => {
  const ports = (transit: 'none' | 'preferred' | 'required', checksTokens: boolean) =>
    portsOf({ port: 6379, transit }, checksTokens);
  expect(ports('none', false)).toEqual({ plainPort: 6379, tlsPort: 0 });
  expect(ports('required', false)).toEqual({ plainPort: 0, tlsPort: 6379 });
  for (const { plainPort, tlsPort } of [ports('preferred', false), ports('required', true)]) {
    expect([plainPort, tlsPort]).not.toContain(6379);
    expect(tlsPort).toBeGreaterThan(0);
  }
});
