/** What the command line says about topics' deliveries. */
import { isAbsolute, normalize } from 'node:path';
import type { NotificationSettings } from '@larder/control/topic/topics';
import type { Config } from './config.ts';
import { readUrlFile } from './read-url-file.ts';
import { UsageError } from './usage-error.ts';

export interface NotificationFlags {
  readonly smtpUrlFile?: string;
  readonly mailFrom?: string;
  readonly notifyCommand?: readonly string[];
  readonly webhooksToLoopback?: boolean;
}

/** @throws UsageError */
export async function notificationSettings(
  { searchPath }: Pick<Config, 'searchPath'>,
  { smtpUrlFile, mailFrom, notifyCommand: commands = [], webhooksToLoopback = false }: NotificationFlags,
): Promise<NotificationSettings> {
  if ((smtpUrlFile === undefined) !== (mailFrom === undefined)) {
    throw new UsageError('--smtp-url-file and --mail-from need each other.');
  }
  const wrong = commands.find((path) => !isAbsolute(path) || normalize(path) !== path);
  if (wrong !== undefined) {
    throw new UsageError(`--notify-command takes absolute paths of programs, not ${JSON.stringify(wrong)}.`);
  }
  const settings = { commands, searchPath, webhooksToLoopback };
  if (smtpUrlFile === undefined || mailFrom === undefined) return settings;
  const smtpUrl = await readUrlFile('--smtp-url-file', smtpUrlFile, {
    pattern: /^smtps?:\/\/\S+$/,
    example: 'smtps://user:password@mail.example.com:465',
  });
  return { ...settings, mail: { smtpUrl, from: mailFrom } };
}
