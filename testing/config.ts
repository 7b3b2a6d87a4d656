import { defaultDirectories } from '@larder/engine/store/directories';

/** The only place where tests read the environment. */
export const directories: ReturnType<typeof defaultDirectories> = defaultDirectories(
  process.env,
  process.getuid?.(),
);
export const searchPath: string = process.env.PATH ?? '';
