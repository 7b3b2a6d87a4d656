/**
 * What the tests saw of each operation, for the coverage table: `npm run coverage:api` runs them with
 * LARDER_API_COVERAGE naming a file, and makes the table from it. Without that nothing is written.
 */
import { appendFileSync } from 'node:fs';
import type { ElastiCacheClient } from '@aws-sdk/client-elasticache';
import type { OperationName } from '@larder/contract/elasticache/model';
import { apiCoverageFile } from './config.ts';

export type Sighting =
  /** Requests with random members of the model arrived at the handler as they were sent, and its answers came back. */
  | { readonly operation: string; readonly kind: 'decoded' }
  /** The service answered it; the SDK could read the answer. */
  | { readonly operation: string; readonly kind: 'answered' }
  /** The service refused it with this code on the wire. */
  | {
      readonly operation: string;
      readonly kind: 'error';
      readonly code: string;
      readonly httpStatus: number;
      readonly message: string;
    }
  /** Its effect was seen from outside: at an engine, with a client, in the process table or on disk. */
  | { readonly operation: string; readonly kind: 'effect'; readonly what: string }
  /** It does nothing here, and says so. */
  | { readonly operation: string; readonly kind: 'refusal'; readonly message: string };

/**
 * Runs the checks of an operation's effect, and records it when they hold.
 * @param what was seen, and where: `the replica's maxmemory-policy by CONFIG GET`.
 */
export async function effect(operation: OperationName, what: string, check: () => unknown): Promise<void> {
  await check();
  record({ operation, kind: 'effect', what });
}

/** Records that an operation said that it does nothing here. */
export function refusal(operation: OperationName, message: string): void {
  record({ operation, kind: 'refusal', message });
}

/** Records that the round trip of an operation held. */
export function decoded(operation: OperationName): void {
  record({ operation, kind: 'decoded' });
}

/** Makes a client record what it is answered. */
export function recordAnswers(client: ElastiCacheClient): void {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const operation = String(context.commandName).replace(/Command$/, '');
      try {
        const result = await next(args);
        record({ operation, kind: 'answered' });
        return result;
      } catch (error) {
        const { name, Code, message, $metadata } = error as {
          name: string;
          Code?: string;
          message: string;
          $metadata?: { httpStatusCode?: number };
        };
        const httpStatus = $metadata?.httpStatusCode;
        if (httpStatus !== undefined) {
          record({ operation, kind: 'error', code: Code ?? name, httpStatus, message });
        }
        throw error;
      }
    },
    { step: 'initialize', name: 'recordAnswers' },
  );
}

function record(sighting: Sighting): void {
  if (apiCoverageFile !== undefined) appendFileSync(apiCoverageFile, `${JSON.stringify(sighting)}\n`);
}
