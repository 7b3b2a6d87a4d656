/** PutDashboard, GetDashboard, ListDashboards and DeleteDashboards. A dashboard is a text that is kept; consoles draw it. */
import type { CloudWatchHandlers } from '@larder/contract/cloudwatch/handlers';
import type { CloudWatchInput, CloudWatchOutput } from '@larder/contract/cloudwatch/model';
import { serviceError } from '@larder/contract/errors';
import type { AlarmContext } from '../alarm/put.ts';
import { readToken, tokenOf } from '../metric-data/token.ts';
import { invalidValue } from '../request/refusals.ts';
import { readTags } from '../request/tags.ts';
import { deleteTags, writeTags } from '../tag/store.ts';

type Context = Pick<AlarmContext, 'database' | 'nowMs' | 'place'>;

const mostBytes = 512 * 1024;
const mostDashboards = 500;
const pageSize = 100;

export function dashboardHandlers(context: Context): CloudWatchHandlers {
  return {
    PutDashboard: (input) => putDashboard(context, input),
    GetDashboard: (input) => getDashboard(context, input),
    ListDashboards: (input) => listDashboards(context, input),
    DeleteDashboards: (input) => deleteDashboards(context, input),
  };
}

function dashboardArn(name: string, { place }: Context): string {
  return `arn:aws:cloudwatch::${place.accountId}:dashboard/${name}`;
}

/** @throws ServiceError InvalidParameterInput */
async function putDashboard(
  { database, nowMs }: Context,
  input: CloudWatchInput<'PutDashboard'>,
): Promise<CloudWatchOutput<'PutDashboard'>> {
  const { DashboardName: name, DashboardBody: body } = input;
  if (!/^[A-Za-z0-9_-]{1,255}$/.test(name)) {
    throw invalid('The name of a dashboard must have 1 to 255 letters, digits, hyphens and underscores.');
  }
  checkBody(body);
  const tags = readTags(input.Tags);
  await database.transaction().execute(async (transaction) => {
    const names = await transaction.selectFrom('dashboard').select('name').execute();
    const isNew = !names.some((each) => each.name === name);
    if (isNew && names.length >= mostDashboards) {
      throw invalid(`There can be up to ${mostDashboards} dashboards.`);
    }
    const row = { body, modified_at: nowMs() };
    await transaction
      .insertInto('dashboard')
      .values({ name, ...row })
      .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
      .execute();
    if (isNew) await writeTags(transaction, { resourceType: 'dashboard', name }, tags);
  });
  return { DashboardValidationMessages: [] };
}

function checkBody(body: string): void {
  if (Buffer.byteLength(body) > mostBytes) throw invalid(`A dashboard can have up to ${mostBytes} bytes.`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    throw invalid('The body of a dashboard must be JSON.');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw invalid('The body of a dashboard must be a JSON object.');
  }
  const { widgets } = parsed as { readonly widgets?: unknown };
  if (widgets !== undefined && !Array.isArray(widgets)) {
    throw invalid('The widgets of a dashboard must be an array.');
  }
}

/** @throws ServiceError ResourceNotFound */
async function getDashboard(
  context: Context,
  { DashboardName: name }: CloudWatchInput<'GetDashboard'>,
): Promise<CloudWatchOutput<'GetDashboard'>> {
  const row = await context.database
    .selectFrom('dashboard')
    .select('body')
    .where('name', '=', name)
    .executeTakeFirst();
  if (row === undefined) throw notThere(name);
  return { DashboardArn: dashboardArn(name, context), DashboardBody: row.body, DashboardName: name };
}

/** In the order of their names. @throws ServiceError InvalidNextToken */
async function listDashboards(
  context: Context,
  { DashboardNamePrefix: prefix = '', NextToken }: CloudWatchInput<'ListDashboards'>,
): Promise<CloudWatchOutput<'ListDashboards'>> {
  const after = NextToken === undefined ? '' : String(readToken(prefix, NextToken));
  const rows = await context.database.selectFrom('dashboard').selectAll().orderBy('name').execute();
  const rest = rows.filter(({ name }) => name.startsWith(prefix) && name > after);
  const page = rest.slice(0, pageSize);
  return {
    DashboardEntries: page.map(({ name, body, modified_at }) => ({
      DashboardName: name,
      DashboardArn: dashboardArn(name, context),
      LastModified: new Date(modified_at),
      Size: Buffer.byteLength(body),
    })),
    ...(rest.length > pageSize && { NextToken: tokenOf(prefix, page.at(-1)!.name) }),
  };
}

/** All of them, or none. @throws ServiceError ResourceNotFound */
async function deleteDashboards(
  { database }: Context,
  { DashboardNames: names }: CloudWatchInput<'DeleteDashboards'>,
): Promise<CloudWatchOutput<'DeleteDashboards'>> {
  if (names.length === 0 || names.length > pageSize) {
    throw invalidValue(`The parameter DashboardNames must have 1 to ${pageSize} names.`);
  }
  await database.transaction().execute(async (transaction) => {
    const rows = await transaction
      .selectFrom('dashboard')
      .select('name')
      .where('name', 'in', names)
      .execute();
    const gone = names.find((name) => !rows.some((row) => row.name === name));
    if (gone !== undefined) throw notThere(gone);
    await transaction.deleteFrom('dashboard').where('name', 'in', names).execute();
    for (const name of names) await deleteTags(transaction, { resourceType: 'dashboard', name });
  });
  return {};
}

function invalid(message: string) {
  return serviceError('DashboardInvalidInputError', message);
}

function notThere(name: string) {
  return serviceError('DashboardNotFoundError', `There is no dashboard ${name.slice(0, 255)}.`);
}
