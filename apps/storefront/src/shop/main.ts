/**
 * One shop process. Takes its configuration from its parent's first message or from standard input, says
 * `{"type":"ready","port":…}` the same way (or on standard output), and drains on SIGTERM, on SIGINT and when
 * its parent is gone.
 */
import { checkShopConfiguration, receiveConfiguration } from './configuration.ts';
import { runUntilTold } from './process-life.ts';
import { startShop } from './shop.ts';

await runUntilTold(async (reportError) => {
  const shop = await startShop(checkShopConfiguration(await receiveConfiguration()), reportError);
  return { ready: { port: shop.port, url: shop.url }, close: () => shop.close() };
});
