/**
 * ElastiCache's API over HTTP: `POST /`, and `GET /?Action=…` for the query form. Application Auto Scaling's is at the
 * same address; its requests name themselves by their `X-Amz-Target`.
 */
import { randomUUID } from 'node:crypto';
import type { ScalingHandlers } from '@larder/contract/application-auto-scaling/handlers';
import { applicationAutoScaling } from '@larder/contract/application-auto-scaling/model';
import type { ErrorProtocol } from '@larder/contract/codec/error-body';
import { type Pair, parseForm, parseFormText } from '@larder/contract/codec/form';
import type { Handlers } from '@larder/contract/elasticache/handlers';
import { elastiCache } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import type { SignedRequest } from '@larder/contract/sigv4';
import { type Context, Hono } from 'hono';
import { authenticate, type LookupAccessKey } from './authenticate.ts';
import { cloudWatchNotServed, dispatch, readAction } from './dispatch.ts';
import { dispatchScaling, readScalingAction } from './dispatch-scaling.ts';
import { JSON_TYPE, readRequest } from './read-request.ts';
import { type Logger, renderError } from './render-error.ts';

const CLOUDWATCH_TARGET = 'GraniteServiceVersion20100801';
const QUERY_ERRORS: ErrorProtocol = { kind: 'query', xmlNamespace: elastiCache.xmlNamespace };

export interface ApiOptions {
  readonly handlers: Handlers;
  readonly scalingHandlers: ScalingHandlers;
  /** Given, every request must be signed with a key it knows. Absent, none is checked. */
  readonly lookupAccessKey?: LookupAccessKey | undefined;
  /** Where and whose this service is: requests are signed for the region, and handlers read both from their caller. */
  readonly region: string;
  readonly accountId: string;
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
  const api = new Hono();

  const answer = async (context: Context, protocol: ErrorProtocol, work: Work): Promise<Response> => {
    const requestId = newRequestId();
    try {
      return await work(context.req.raw, requestId);
    } catch (thrown) {
      return renderError(thrown, requestId, protocol, logger);
    }
  };
  const serve: Work = (request, requestId) => serveElastiCache(options, request, requestId);
  const scale: Work = (request, requestId) => serveScaling(options, request, requestId);

  api.get('/health', (context) => context.json({ status: 'ok' }));
  api.post(`/service/${CLOUDWATCH_TARGET}/*`, (context) =>
    answer(context, { kind: 'rpc-v2-cbor' }, refuseCloudWatch),
  );
  api.post('/', (context) => {
    const target = context.req.header('x-amz-target') ?? '';
    if (target.startsWith(`${CLOUDWATCH_TARGET}.`)) {
      return answer(context, { kind: 'json-1.0' }, refuseCloudWatch);
    }
    return target.startsWith(applicationAutoScaling.targetPrefix)
      ? answer(context, { kind: 'json-1.1' }, scale)
      : answer(context, QUERY_ERRORS, serve);
  });
  api.get('/', (context, next) =>
    new URL(context.req.url).searchParams.has('Action') ? answer(context, QUERY_ERRORS, serve) : next(),
  );
  api.notFound((context) =>
    answer(context, QUERY_ERRORS, async (request) => {
      throw serviceError(
        'InvalidAction',
        `There is nothing at ${request.method} ${context.req.path.slice(0, 100)}.`,
        {
          hint: 'ElastiCache requests are POST / with a form body.',
        },
      );
    }),
  );
  return api;
}

type Work = (request: Request, requestId: string) => Promise<Response>;

async function refuseCloudWatch(): Promise<Response> {
  throw cloudWatchNotServed();
}

async function serveElastiCache(options: ApiOptions, raw: Request, requestId: string): Promise<Response> {
  const { handlers, lookupAccessKey, region, accountId, logger, now } = options;
  const startedAt = now();
  const request = await readRequest(raw);
  const action = readAction(parametersOf(request));
  const asked = { operation: action.operation, signingName: elastiCache.signingName };
  const accessKeyId = await authenticate(request, asked, { lookupAccessKey, region, now: startedAt });
  const xml = await dispatch(handlers, action, { requestId, accessKeyId, accountId, region });
  const durationMs = now().getTime() - startedAt.getTime();
  logger.debug({ requestId, operation: action.operation, accessKeyId, durationMs }, 'request served');
  return new Response(xml, { headers: { 'content-type': 'text/xml', 'x-amzn-requestid': requestId } });
}

async function serveScaling(options: ApiOptions, raw: Request, requestId: string): Promise<Response> {
  const { scalingHandlers, lookupAccessKey, region, accountId, logger, now } = options;
  const startedAt = now();
  const request = await readRequest(raw, JSON_TYPE);
  const operation = readScalingAction(request.headers['x-amz-target'] ?? '');
  const asked = { operation, signingName: applicationAutoScaling.signingName };
  const accessKeyId = await authenticate(request, asked, { lookupAccessKey, region, now: startedAt });
  const caller = { requestId, accessKeyId, accountId, region };
  const json = await dispatchScaling(scalingHandlers, operation, request.body, caller);
  const durationMs = now().getTime() - startedAt.getTime();
  logger.debug({ requestId, operation, accessKeyId, durationMs }, 'request served');
  return new Response(json, { headers: { 'content-type': JSON_TYPE, 'x-amzn-requestid': requestId } });
}

/**
 * The body's parameters, or the query's when there is no body. Never both: a query next to a body would be a second,
 * easily overlooked set.
 */
function parametersOf(request: SignedRequest): readonly Pair[] {
  return request.body.byteLength === 0 ? parseFormText(request.queryText) : parseForm(request.body);
}
