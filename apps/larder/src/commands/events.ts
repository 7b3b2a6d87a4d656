/** `larder events`: what happened in the last hour, and with `--follow` what happens from then on. */
import { setTimeout as sleep } from 'node:timers/promises';
import { signRequest } from '@larder/contract/sign-request';
import { UsageError } from '../usage-error.ts';
import { readAccess } from './access.ts';

export interface EventsFlags {
  readonly follow: boolean;
  readonly json: boolean;
  readonly minutes: number;
}

interface ShownEvent {
  readonly SourceType: string;
  readonly SourceIdentifier: string;
  readonly Message: string;
  readonly Date: string;
}

const reconnectMs = 1_000;

/** Ends with the last event, or with `--follow` when the process is told to. */
export async function printEvents(dataDirectory: string, flags: EventsFlags): Promise<void> {
  let lastId: string | undefined;
  do {
    try {
      await read();
    } catch (error) {
      // The first look must work; later the service may be away for a while.
      if (!flags.follow || lastId === undefined) throw error;
    }
    if (flags.follow) await sleep(reconnectMs);
  } while (flags.follow);

  async function read(): Promise<void> {
    const access = await readAccess(dataDirectory);
    const url = new URL('/events', access.endpoint);
    if (lastId === undefined) url.searchParams.set('minutes', String(flags.minutes));
    if (!flags.follow) url.searchParams.set('follow', 'no');
    const headers = await signRequest({ ...access, service: 'elasticache' }, { method: 'GET', url });
    const response = await fetch(url, {
      headers: { ...headers, ...(lastId !== undefined && { 'last-event-id': lastId }) },
    }).catch((error: Error) => {
      throw new UsageError(`No service answers at ${access.endpoint} (${error.message}).`);
    });
    if (!response.ok) throw new Error(/<Message>(.*?)<\/Message>/.exec(await response.text())?.[1]);
    let rest = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      const frames = (rest + chunk).split('\n\n');
      rest = frames.pop()!;
      for (const frame of frames) {
        lastId = /^id: (\d+)$/m.exec(frame)?.[1] ?? lastId;
        const data = /^data: (.*)$/m.exec(frame)?.[1];
        if (data !== undefined) print(data, flags.json);
      }
    }
  }
}

function print(data: string, json: boolean): void {
  if (json) return void process.stdout.write(`${data}\n`);
  const {
    Date: at,
    SourceType: type,
    SourceIdentifier: id,
    Message: message,
  } = JSON.parse(data) as ShownEvent;
  process.stdout.write(`${at}  ${type} ${id}  ${message}\n`);
}
