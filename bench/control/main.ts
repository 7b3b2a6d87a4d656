/** `npm run bench -- control`: how soon a group serves, how soon it is described, and what the service itself takes. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGroup, deleteGroup, groupAvailable, groupGone } from '../../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../../testing/larder.ts';
import { signedSender } from '../../testing/signed-request.ts';
import { type JudgedBar, judge } from '../bar.ts';
import { helpText, numberOption, parseOptions } from '../command-line.ts';
import { describeMachine, finish, machineText, progress, runCommand } from '../run-report.ts';
import { quantile } from '../statistics.ts';

const optionTexts = {
  creations: { value: 'N', text: 'groups created one after the other (20)' },
  records: { value: 'N', text: 'groups on record while Describe is measured (100)' },
  json: { value: 'FILE', text: 'write every number there' },
};

const createLimitMs = 5_000;
const together = 10;
const describeLimitMs = 20;
const idleNodes = 20;
const idleMs = 30_000;
const memoryLimitMiB = 200;
const idleCpuLimitPercent = 5;
const shards = { NumNodeGroups: 3, ReplicasPerNodeGroup: 1 };
/** Of /proc/PID/stat, on every Linux that runs here. */
const ticksPerSecond = 100;

await runCommand(async () => {
  const options = parseOptions(optionTexts, process.argv.slice(2));
  if (options.help) {
    const purpose = 'Measures the service: creating, describing, and what it takes when nothing happens.';
    process.stdout.write(`${helpText('npm run bench -- control [options]', purpose, optionTexts)}\n`);
    return 0;
  }
  const creations = numberOption('creations', options.creations, { fallback: 20, least: 1, most: 1_000 });
  const records = numberOption('records', options.records, { fallback: 100, least: 1, most: 300 });
  const machine = describeMachine();
  process.stdout.write(`${machineText(machine)}\n`);

  const bars: JudgedBar[] = [
    await measured('creating 3 shards × 1 replica', (larder) => createOneByOne(larder, creations)),
    await measured(`creating ${together} groups at once`, createTogether),
    await measured(`describing ${records} groups`, (larder) => describeMany(larder, records)),
    ...(await measured(`${idleNodes} nodes at rest`, restWithNodes)),
  ].flat();
  return finish({ machine, creations, records, bars }, options.json);
});

/** With a service of its own, which leaves nothing behind. */
async function measured<T>(what: string, work: (larder: TestLarder) => Promise<T>): Promise<T> {
  progress(what);
  const larder = await startLarder();
  try {
    return await work(larder);
  } finally {
    await larder.remove();
  }
}

async function createOneByOne(larder: TestLarder, count: number): Promise<JudgedBar> {
  const values: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const id = `bench-${index}`;
    values.push(await timeCreation(larder, id, shards));
    await deleteGroup(larder, id);
    await groupGone(larder, id);
  }
  const name = `3 shards × 1 replica from request to available, the slowest of ${count}`;
  return judge({ name, better: 'lower', limit: createLimitMs, unit: 'ms', values: [Math.max(...values)] });
}

async function timeCreation(larder: TestLarder, id: string, input: typeof shards | object): Promise<number> {
  const begunAtMs = performance.now();
  await createGroup(larder, id, input);
  await groupAvailable(larder, id);
  return performance.now() - begunAtMs;
}

/** A creation that fails ends the run. */
async function createTogether(larder: TestLarder): Promise<JudgedBar> {
  const begunAtMs = performance.now();
  const ids = Array.from({ length: together }, (_, index) => `many-${index}`);
  await Promise.all(ids.map((id) => timeCreation(larder, id, { NumCacheClusters: 2 })));
  const tookMs = performance.now() - begunAtMs;
  const addresses = larder.processes().length;
  if (addresses !== 2 * together) throw new Error(`${addresses} nodes run; ${2 * together} were asked for.`);
  const name = `${together} groups of two nodes at once, all available`;
  return judge({ name, better: 'lower', limit: createLimitMs * 4, unit: 'ms', values: [tookMs] });
}

async function describeMany(larder: TestLarder, count: number): Promise<JudgedBar[]> {
  const ids = Array.from({ length: count }, (_, index) => `record-${index}`);
  const batch = 10;
  for (let start = 0; start < count; start += batch) {
    await Promise.all(
      ids.slice(start, start + batch).map((id) => timeCreation(larder, id, { NumCacheClusters: 1 })),
    );
  }
  let creating = true;
  const background = (async () => {
    for (let index = 0; creating; index += 1) {
      const id = `beside-${index}`;
      await timeCreation(larder, id, { NumCacheClusters: 2 });
      await deleteGroup(larder, id);
      await groupGone(larder, id);
    }
  })();
  const one = await describeLatencies(larder, 400, ids[0]);
  const page = await describeLatencies(larder, 200);
  creating = false;
  await background;
  const bar = (name: string, values: readonly number[], limit: number) =>
    judge({
      name,
      better: 'lower',
      limit,
      unit: 'ms',
      values: [
        quantile(
          [...values].sort((a, b) => a - b),
          0.99,
        ),
      ],
    });
  return [
    bar(`p99 of describing one group, ${count} on record, others being created`, one, describeLimitMs),
    bar(`p99 of describing a page of 100, others being created`, page, describeLimitMs),
  ];
}

/** Until the last byte of the answer: what a client then makes of it is its own. */
async function describeLatencies({ access }: TestLarder, count: number, id?: string): Promise<number[]> {
  const send = signedSender(access, 1);
  const named = id === undefined ? '' : `&ReplicationGroupId=${id}`;
  const body = Buffer.from(`Action=DescribeReplicationGroups&Version=2015-02-02${named}`);
  const contentType = 'application/x-www-form-urlencoded';
  const latencies: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const { status, tookMs } = await send({ method: 'POST', path: '/', contentType, body, signed: true });
    if (status !== 200) throw new Error(`DescribeReplicationGroups answered ${status}.`);
    latencies.push(tookMs);
    // Polling clients leave pauses.
    await sleep(5);
  }
  return latencies;
}

async function restWithNodes(larder: TestLarder): Promise<JudgedBar[]> {
  await timeCreation(larder, 'rest-cluster', { NumNodeGroups: 5, ReplicasPerNodeGroup: 1 });
  for (let index = 0; index < (idleNodes - 10) / 2; index += 1) {
    await timeCreation(larder, `rest-${index}`, { NumCacheClusters: 2 });
  }
  await sleep(5_000);
  const before = cpuSeconds(larder.pid);
  await sleep(idleMs);
  const percent = ((cpuSeconds(larder.pid) - before) / (idleMs / 1_000)) * 100;
  const memory =
    Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${larder.pid}/status`, 'utf8'))![1]) / 1_024;
  return [
    judge({
      name: `memory of the service with ${idleNodes} nodes`,
      better: 'lower',
      limit: memoryLimitMiB,
      unit: 'MiB',
      values: [memory],
    }),
    judge({
      name: `CPU of the service with ${idleNodes} nodes at rest, of one core`,
      better: 'lower',
      limit: idleCpuLimitPercent,
      unit: '%',
      values: [percent],
    }),
  ];
}

/** User and system, of all its threads. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}
