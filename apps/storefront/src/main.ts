#!/usr/bin/env node
/** The flash sale's command: the cockpit, or with `--once` the whole sale unattended. */
import { runCommand } from './scenario/command.ts';

process.exitCode = await runCommand(process.argv.slice(2));
// Everything was stopped; a handle that something forgot must not keep a finished run alive.
process.exit();
