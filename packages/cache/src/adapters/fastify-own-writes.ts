/** Reading your own writes for Fastify. */
import { AsyncResource } from 'node:async_hooks';
import type { FastifyPluginCallback, FastifyRequest } from 'fastify';
import type { Cache } from '../cache.ts';
import { type OwnWritesRequest, type OwnWritesTransport, ownWritesRequests } from './own-writes-ticket.ts';

export type { OwnWritesTransport } from './own-writes-ticket.ts';

interface Session {
  readonly own: OwnWritesRequest;
  readonly context: AsyncResource;
}

/**
 * `app.register(fastifyOwnWrites(cache, { secret }))`; holds for the whole instance that registers it. A handler
 * that wrote calls `await cache.ownWrites.wrote()` after its commit and before it answers: its own later reads, and
 * the client's next requests to any process, then see what was written. Throws CacheConfigError.
 */
export function fastifyOwnWrites(
  cache: Pick<Cache, 'name' | 'ownWrites'>,
  transport: OwnWritesTransport,
): FastifyPluginCallback {
  const requestOf = ownWritesRequests(cache, transport);
  const sessions = new WeakMap<FastifyRequest, Session>();
  const plugin: FastifyPluginCallback = (app, _, done) => {
    app.addHook('onRequest', (request, _reply, next) => {
      const own = requestOf((name) => request.headers[name] as string | undefined);
      own.run(() => {
        sessions.set(request, { own, context: new AsyncResource('LarderOwnWrites') });
        next();
      });
    });
    // Reading the body ends in the socket's context.
    app.addHook('preValidation', (request, _reply, next) => {
      const session = sessions.get(request);
      if (session === undefined) next();
      else session.context.runInAsyncScope(next);
    });
    app.addHook('onSend', (request, reply, payload, next) => {
      const header = sessions.get(request)?.own.responseHeader();
      if (header !== undefined) reply.header(...header);
      next(null, payload);
    });
    done();
  };
  // As fastify-plugin does: hooks are for whoever registers this, not for an instance of its own.
  return Object.assign(plugin, { [Symbol.for('skip-override')]: true });
}
