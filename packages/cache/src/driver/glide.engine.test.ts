/**
 * Why there is no driver over GLIDE (@valkey/valkey-glide): its core reconnects by itself, tells nobody, and sends
 * then what was asked for while it was down. The seam forbids each of that (driver.ts). Nothing in its options
 * turns it off: its `addressResolver`, which could refuse a second connection, is asked once. When this test
 * fails, look again.
 */
import { GlideClient, ProtocolVersion } from '@valkey/valkey-glide';
import { expect, test } from 'vitest';
import { startEngine } from '../../../../testing/engine.ts';
import { waitFor } from '../testing/wait-for.ts';

test('GLIDE sends on a connection that it made later, without a word', async () => {
  const engine = await startEngine();
  let resolved = 0;
  const client = await GlideClient.createClient({
    addresses: [{ host: engine.host, port: engine.port }],
    protocol: ProtocolVersion.RESP2,
    requestTimeout: 30_000,
    connectionBackoff: { numberOfRetries: 1, factor: 1, exponentBase: 1 },
    addressResolver: (host, port) => {
      resolved += 1;
      return [host, port];
    },
  });
  const first = await client.customCommand(['INFO', 'server']);
  await engine.kill();
  // One command may learn of the loss; from then on all wait for whatever comes.
  const sent: Promise<unknown>[] = [];
  let rejected = false;
  await waitFor('the loss to be known', () => {
    const reply = client.customCommand(['INFO', 'server']);
    reply.catch(() => {
      rejected = true;
    });
    sent.push(reply);
    return rejected || sent.length === 50;
  });
  const queued = client.customCommand(['INFO', 'server']);
  await engine.restart();
  const runId = (info: unknown): string | undefined => /run_id:(\w+)/.exec(String(info))?.[1];
  expect(runId(await queued)).toMatch(/^\w{40}$/);
  expect(runId(await queued)).not.toBe(runId(first));
  expect(resolved).toBe(1);
  // It words the engine's errors anew as well; scripts are found missing by theirs.
  await expect(client.customCommand(['EVALSHA', 'f'.repeat(40), '0'])).rejects.not.toThrow(/^NOSCRIPT/);
  client.close();
  await engine.stop();
});
