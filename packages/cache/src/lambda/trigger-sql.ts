/**
 * (pure) Triggers that invoke the Lambda function from PostgreSQL on RDS and Aurora (extension aws_lambda).
 *
 * They run inside the writer's transaction, before it commits, and also when it rolls back. The invocation is
 * asynchronous ('Event'), so a writer waits for its hand-over and not for its run; it still costs each statement a
 * call to Lambda's API. The outbox (feed/postgres-outbox.ts) costs less and loses nothing; this is for places where
 * no process of ours may run.
 */
import { CacheConfigError } from '../errors.ts';
import { quoteLiteral } from '../feed/quote-sql.ts';
import { type TriggerTable, triggerSql } from '../feed/trigger-sql.ts';

export interface LambdaTriggerOptions {
  readonly tables: readonly TriggerTable[];
  /** Name or ARN of the function. */
  readonly functionName: string;
  readonly region: string;
  /** A statement with more rows says only which table it changed. Default 500; an invocation takes 256 KB. */
  readonly maxRows?: number;
}

/** SQL to run as the tables' owner; it can be run again. Throws CacheConfigError. */
export function lambdaTriggerSql(options: LambdaTriggerOptions): string {
  const { tables, functionName, region, maxRows = 500 } = options;
  if (!Number.isSafeInteger(maxRows) || maxRows < 1 || maxRows > 10_000) {
    throw new CacheConfigError('`maxRows` must be a whole number from 1 to 10,000.');
  }
  const keep = `PERFORM aws_lambda.invoke(
    aws_commons.create_lambda_function_arn(${quoteLiteral(functionName)}, ${quoteLiteral(region)}),
    json_build_object(
      'v', 1, 'src', 'pg-trigger', 'db', current_database(), 'schema', TG_TABLE_SCHEMA, 'table', TG_TABLE_NAME,
      'op', TG_OP, 'xid', pg_current_xact_id()::text, 'at', clock_timestamp(),
      'keys', CASE WHEN everything THEN NULL ELSE
        (SELECT jsonb_agg(k) FROM (
           SELECT jsonb_build_object('old', o) AS k FROM jsonb_array_elements(old_keys) o
           UNION ALL SELECT jsonb_build_object('new', n) FROM jsonb_array_elements(new_keys) n) x)
      END),
    'Event');`;
  return `CREATE EXTENSION IF NOT EXISTS aws_lambda CASCADE;\n${triggerSql({ tables, prefix: 'larder_lambda', maxRows, keep })}`;
}
