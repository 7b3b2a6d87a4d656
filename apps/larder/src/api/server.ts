/**
 * The API over HTTP: ElastiCache's, CloudWatch's and Application Auto Scaling's at one address. Forms come as `POST /` or
 * `GET /?Action=…`, JSON as `POST /` with an `X-Amz-Target`, CBOR as `POST /service/…/operation/…`.
 */
import { randomUUID } from 'node:crypto';
import type { ErrorProtocol } from '@larder/contract/codec/error-body';
import { isServiceError, serviceError } from '@larder/contract/errors';
import type { EventStream } from '@larder/control/event-log/event-stream';
import type { ServedRequest } from '@larder/control/exposition/service-counts';
import { type Context, Hono } from 'hono';
import { authenticate, type LookupAccessKey } from './authenticate.ts';
import { dispatch, operationOf } from './dispatch.ts';
import { eventsAnswer } from './events.ts';
import { readRequest, refuseCompressed } from './read-request.ts';
import { type Logger, renderError } from './render-error.ts';
import { type ServiceHandlers, type Spoken, servicesOf, spokenBy, spokenInBody } from './services.ts';

export interface ApiOptions extends ServiceHandlers {
  /** Given, every request must be signed with a key it knows. Absent, none is checked. */
  readonly lookupAccessKey?: LookupAccessKey | undefined;
  /** Where and whose this service is: requests are signed for the region, and handlers read both from their caller. */
  readonly region: string;
  readonly accountId: string;
  /** Missing: nobody can follow events here. */
  readonly events?: EventStream | undefined;
  /** Told of each request to an operation, also of those that were refused. */
  readonly onServed?: ((served: ServedRequest) => void) | undefined;
  readonly logger: Logger;
  readonly now: () => Date;
  readonly newRequestId?: (() => string) | undefined;
}

/**
 * The API as a Hono app, ready to be served or mounted at `/`.
 *
 * Every answer carries `x-amzn-RequestId`, the same id handlers see and errors name; every rejection is a modelled
 * error in the protocol the client spoke. It holds no state. `GET /` without an Action is left to whoever is
 * mounted next. Bounds on time (slow senders) are the HTTP server's: `requestTimeout`, `headersTimeout`.
 */
export function createApi(options: ApiOptions): Hono {
  const { logger, newRequestId = randomUUID } = options;
  const services = servicesOf(options);
  const api = new Hono();

  async function serve(context: Context): Promise<Response> {
    const requestId = newRequestId();
    const startedAt = options.now();
    let spoken = spokenOf(context);
    let operation = 'unknown';
    const served = (code: string) => {
      const durationMs = options.now().getTime() - startedAt.getTime();
      options.onServed?.({ requestId, operation, code, startedAtMs: startedAt.getTime(), durationMs });
      return durationMs;
    };
    try {
      const request = await readRequest(context.req.raw, spoken.protocol.mediaType);
      spoken = spokenInBody(spoken, request);
      const { protocol } = spoken;
      const service = services[spoken.service];
      if (!service.takesCompressed) refuseCompressed(request);
      const asked = protocol.read(request);
      const model = operationOf(service, asked);
      operation = model.name;
      const { lookupAccessKey, accountId, region } = options;
      const accessKeyId = await authenticate(
        request,
        { operation: model.name, signingName: service.signingName },
        { lookupAccessKey, region, now: startedAt },
      );
      const output = await dispatch(service, model, asked, { requestId, accessKeyId, accountId, region });
      const { headers, body } = protocol.answer(model, output, requestId);
      logger.debug({ requestId, operation, accessKeyId, durationMs: served('OK') }, 'request served');
      return new Response(body, { headers: { ...headers, 'x-amzn-requestid': requestId } });
    } catch (thrown) {
      served(isServiceError(thrown) ? thrown.code : 'InternalFailure');
      return renderError(thrown, requestId, spoken.protocol.errors, logger);
    }
  }

  const events = options.events && eventsAnswer(options.events, () => options.now().getTime());
  api.get('/events', async (context, next) => {
    if (events === undefined) return next();
    const requestId = newRequestId();
    try {
      const request = await readRequest(context.req.raw, '');
      const { lookupAccessKey, region } = options;
      await authenticate(
        request,
        { operation: 'DescribeEvents', signingName: services.elastiCache.signingName },
        { lookupAccessKey, region, now: options.now() },
      );
      const stream = await events.answer({
        lastEventId: context.req.header('last-event-id'),
        minutes: context.req.query('minutes') ?? null,
        follow: context.req.query('follow') ?? null,
        gone: context.req.raw.signal,
      });
      return new Response(stream, {
        headers: {
          'content-type': 'text/event-stream',
          'cache-control': 'no-store',
          'x-amzn-requestid': requestId,
        },
      });
    } catch (thrown) {
      return renderError(thrown, requestId, spokenOf(context).protocol.errors, logger);
    }
  });
  api.get('/health', (context) => context.json({ status: 'ok' }));
  api.post('/service/:service/operation/:operation', (context, next) =>
    spokenOf(context).protocol.errors.kind === 'rpc-v2-cbor' ? serve(context) : next(),
  );
  api.post('/', serve);
  api.get('/', (context, next) =>
    new URL(context.req.url).searchParams.has('Action') ? serve(context) : next(),
  );
  api.notFound((context) => {
    const error = serviceError(
      'InvalidAction',
      `There is nothing at ${context.req.method} ${context.req.path.slice(0, 100)}.`,
      { hint: 'ElastiCache requests are POST / with a form body.' },
    );
    return renderError(error, newRequestId(), spokenOf(context).protocol.errors, logger);
  });
  return api;
}

function spokenOf({ req }: Context): Spoken {
  return spokenBy({ path: req.path, target: req.header('x-amz-target') });
}

/** The protocol in which whoever asks wants an error, as far as the head of the request tells. */
export function errorProtocolOf(context: Context): ErrorProtocol {
  return spokenOf(context).protocol.errors;
}
