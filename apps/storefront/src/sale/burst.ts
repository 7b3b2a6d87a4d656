/** As many pages as the shop can send: each connection asks again as soon as it was answered. */
import type { BurstOrder, BurstResult } from './generator-messages.ts';
import { webClient } from './web-client.ts';

const timeoutMs = 5_000;

export async function runBurst(order: BurstOrder): Promise<BurstResult> {
  const perShop = Math.max(1, Math.floor(order.connections / order.shopUrls.length));
  const clients = order.shopUrls.map((url) => webClient(url, perShop));
  const startedAt = performance.now();
  const countFrom = startedAt + order.rampMs;
  const stopAt = countFrom + order.durationMs;
  let pages = 0;
  let errors = 0;
  let next = 0;
  const mostRequests = order.mostRequests ?? Infinity;

  async function ask(client: (typeof clients)[number]): Promise<void> {
    while (performance.now() < stopAt && next < mostRequests) {
      const path = order.paths[next++ % order.paths.length]!;
      const ok = await client.send({ method: 'GET', path }, undefined, performance.now() + timeoutMs).then(
        (answer) => answer.status === 200,
        () => false,
      );
      const now = performance.now();
      // An answer that came after the end would count a page that the time did not hold.
      if (now < countFrom || now > stopAt) continue;
      if (ok) pages += 1;
      else errors += 1;
    }
  }

  await Promise.all(clients.flatMap((client) => Array.from({ length: perShop }, () => ask(client))));
  await Promise.all(clients.map((client) => client.close()));
  return { pages, errors, durationMs: order.durationMs };
}
