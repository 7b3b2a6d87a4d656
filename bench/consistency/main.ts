/** `npm run check:consistency` */
import { startTestPostgres } from '../../testing/postgres.ts';
import { helpText, numberOption, parseOptions, UsageError } from '../command-line.ts';
import { describeMachine, finish, machineText, runCommand } from '../run-report.ts';
import { peers } from '../subjects/peer-configurations.ts';
import { type ProofOptions, proofBars, proofText, runProof } from './proof.ts';

const optionTexts = {
  seconds: { value: 'N', text: "of Larder's random history, a peer gets a twentieth of it (120)" },
  seed: { value: 'S', text: 'of everything random; a new one each time, and printed' },
  only: { value: 'larder|peers|NAME', text: `leave out the others; NAME: ${Object.keys(peers).join(', ')}` },
  json: { value: 'FILE', text: 'write every number there' },
};

const races = 100;
const rounds = 20;

await runCommand(async () => {
  const options = parseOptions(optionTexts, process.argv.slice(2));
  if (options.help) {
    const purpose =
      'Proves that what is read through the cache is never stale beyond its bound: forced races, stampedes, and\n' +
      'random histories under faults, on a real PostgreSQL and a real Valkey. The same for other libraries.';
    process.stdout.write(`${helpText('npm run check:consistency -- [options]', purpose, optionTexts)}\n`);
    return 0;
  }
  const seconds = numberOption('seconds', options.seconds, { fallback: 120, least: 2, most: 86_400 });
  const anySeed = (Date.now() ^ (process.pid << 8)) >>> 0;
  const seed = numberOption('seed', options.seed, { fallback: anySeed, least: 0, most: 2 ** 32 - 1 });
  const chosen = subjectsOf(options.only);
  const machine = describeMachine();
  process.stdout.write(`${machineText(machine)}\nseed ${seed}\n`);
  // Each process holds a handful of connections, and prepared transactions are off unless asked for.
  const postgres = await startTestPostgres({ max_prepared_transactions: 10, max_connections: 300 });
  try {
    const what: ProofOptions = { postgres: postgres.address, ...chosen, seconds, seed, races, rounds };
    const proof = await runProof(what);
    process.stdout.write(`\n${proofText(proof)}\n`);
    return await finish({ machine, seed, seconds, ...proof, bars: proofBars(proof, what) }, options.json);
  } finally {
    await postgres.remove();
  }
});

function subjectsOf(only: string | undefined): {
  readonly larder: boolean;
  readonly peers: readonly string[];
} {
  if (only === undefined) return { larder: true, peers: Object.keys(peers) };
  if (only === 'larder') return { larder: true, peers: [] };
  if (only === 'peers') return { larder: false, peers: Object.keys(peers) };
  if (only in peers) return { larder: false, peers: [only] };
  throw new UsageError(
    `--only takes larder, peers or one of ${Object.keys(peers).join(', ')}, not "${only}".`,
  );
}
