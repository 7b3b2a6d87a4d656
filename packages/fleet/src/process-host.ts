/**
 * The machine we run on, as a host: nodes are its processes.
 *
 * Nodes outlive the service. They are started in sessions of their own with their output going to a file, and
 * a service that comes back finds each by its folder's name on the command line: that also finds a node whose
 * service was killed between starting it and writing down its pid.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, open, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { certificateFiles, engineArguments, engineMark, spareFiles } from '@larder/engine/config-file';
import type { EngineBuild } from '@larder/engine/store/engine-build';
import {
  type AdminConnection,
  adminConnection,
  keepsAdminConnection,
  memcachedCommand,
  memcachedItems,
} from './admin-connection.ts';
import type { FencedNode } from './agent/fence-node.ts';
import { type HostNetwork, standingAddresses } from './agent/network.ts';
import { socketEnder } from './dying-sockets.ts';
import { type EpochFence, epochFence } from './epoch-fence.ts';
import { hangWatch } from './hang/hang-watch.ts';
import { killWaitMs } from './hang/limits.ts';
import type { HungNodes } from './hang/prober-thread.ts';
import {
  type DeathEvidence,
  type Host,
  type Incarnation,
  type NodeObservation,
  type NodeSettings,
  NodeUnreachable,
  type StartData,
} from './host.ts';
import { moveKeys } from './key-mover.ts';
import { logDeliverer } from './log-delivery/deliver-logs.ts';
import { readLog } from './log-delivery/read-log.ts';
import { nodeFolders } from './node-folder.ts';
import { readNodes } from './node-reading.ts';
import type { NodeSecrets } from './node-secrets.ts';
import type { NodeSpec } from './node-spec.ts';
import { type OwnNode, observeNode, readNodeSettings } from './observe-node.ts';
import { ownConnectionCounter } from './own-connections.ts';
import {
  deathOf,
  openFilesLimit,
  openStat,
  readStat,
  sessionsNaming,
  yieldToOthers,
} from './process-table.ts';
import { certificateCommands, portCommands, userCommands } from './setting-commands.ts';
import { snapshotFolders } from './snapshot-folders.ts';
import { type KeptNode, snapshotKeeper } from './snapshot-keeper.ts';
import { snapshotTransfers } from './snapshot-transfers.ts';
import { statsLine } from './stats-line.ts';

/** How often the process table is read. A death closes the admin connection too, usually sooner. */
const watchPeriodMs = 20;
/** A big process's connections are closed only when its memory is freed: of its death nothing else tells soon. */
const closeWatchPeriodMs = 4;
/** With more of them the looks would cost more than they are worth. */
const mostWatchedClosely = 16;
const stopGraceMs = 3_000;
const spawnCheckMs = 5;
/** Longer than it takes to promote another node on another host, and until all neighbours have heard of that. */
const endpointLingerMs = 1_500;
/** A small process is gone by then: only a big one's sockets are worth a program of their own. */
const quickDeathMs = 8;
/** Bigger ones, 256 MB where a page has 4 KiB, are never gone that soon. */
const bigPages = 65_536;

export interface ProcessHostOptions {
  readonly id: string;
  /** Holds a folder for each node, each snapshot and each destination of logs. */
  readonly directory: string;
  /** The build to run for a node. @throws when it is no longer there. */
  readonly findBuild: (engine: NodeSpec['settings']['engine'], version: string) => Promise<EngineBuild>;
  readonly secrets: Pick<NodeSecrets, 'admin' | 'snapshotFile'>;
  readonly certificates: NodeCertificates;
  /** Refuses orders from the past; by default by what is on disk in `directory`. */
  readonly fence?: EpochFence;
  /** Addresses to take and give up as nodes and endpoints come and go; by default all are there. */
  readonly network?: HostNetwork;
  /** Told about things nobody waits for. */
  readonly onProblem: (error: Error) => void;
}

/** Who vouches for nodes that are reached with TLS. */
export interface NodeCertificates {
  /** PEM texts. The first address is the node's own. */
  issue(
    nodeId: string,
    addresses: readonly string[],
  ): Promise<{ readonly certificatePem: string; readonly keyPem: string; readonly authorityPem: string }>;
}

function isBig({ stat }: OwnNode): boolean {
  return (stat?.mostPages ?? 0) > bigPages;
}

export interface ProcessHost extends Host {
  /** Nodes that have a folder here, running or not. */
  nodeIds(): readonly string[];
  /** The node listens on its own address alone now: its endpoints' are given up soon, unless it is told to listen anew. */
  giveUpEndpoints(nodeId: string): void;
  /** Tells the network of every address that is here. */
  announce(): void;
  /** Those of them whose engine runs, with what it takes to fence it. */
  runningNodes(nodeIds: readonly string[]): readonly FencedNode[];
}

/** Opens the host: adopts every node that still runs. */
export async function processHost(options: ProcessHostOptions): Promise<ProcessHost> {
  const folders = nodeFolders(join(options.directory, 'nodes'));
  await mkdir(folders.directory, { recursive: true, mode: 0o700 });
  const { fence = epochFence(options.directory), network = standingAddresses } = options;
  const snapshotsKept = await snapshotFolders(
    join(options.directory, 'snapshots'),
    options.secrets.snapshotFile,
  );
  const snapshots = snapshotKeeper(snapshotsKept);
  const scratchDirectory = join(options.directory, 'rehearsals');
  await rm(scratchDirectory, { recursive: true, force: true });
  const transfers = snapshotTransfers({
    folders: snapshotsKept,
    recordsDirectory: join(options.directory, 'uploads'),
    scratchDirectory,
    findBuild: options.findBuild,
    betweenSaves: snapshots.betweenSaves,
  });
  const deliverLogs = logDeliverer(join(options.directory, 'logs'));
  const nodes = new Map<string, OwnNode>();
  const listeners = new Set<(nodeId: string) => void>();
  const limits = { asRoot: process.getuid?.() === 0, openFiles: openFilesLimit() };
  const sockets = limits.asRoot ? socketEnder() : undefined;
  /** Nobody begins to listen while sockets are being ended: it might be taken for the dead one's. */
  const endingSockets = new Set<Promise<void>>();
  /** Of this run, since its counts of own connections begin with it. */
  const readingWatch = randomUUID();
  let closed = false;

  const changed = (nodeId: string) => {
    for (const listener of listeners) listener(nodeId);
  };

  const prober = hangWatch({
    onHung,
    onConnection({ pid, startTicks }, change) {
      for (const { process, own } of nodes.values()) {
        if (process.kind !== 'running' || process.incarnation.pid !== pid) continue;
        if (process.incarnation.startTicks === startTicks) own.count(change);
      }
    },
    onProblem: options.onProblem,
  });

  function onHung(hung: HungNodes): void {
    for (const node of nodes.values()) {
      const { process } = node;
      if (process.kind !== 'running') continue;
      const hang = hung.find(
        ({ nodeId, incarnation: { pid, startTicks } }) =>
          nodeId === node.spec.nodeId &&
          pid === process.incarnation.pid &&
          startTicks === process.incarnation.startTicks,
      )?.hang;
      if (hang === undefined && process.hang === undefined) continue;
      node.process = { kind: 'running', incarnation: process.incarnation, ...(hang && { hang }) };
      if ((hang === undefined) === (process.hang === undefined)) continue;
      // Whoever waits for an answer of it now waits in vain.
      if (hang !== undefined) connect(node);
      changed(node.spec.nodeId);
    }
  }

  function died(node: OwnNode, incarnation: Incarnation, how: DeathEvidence): void {
    const { process } = node;
    if (process.kind === 'absent' || process.incarnation !== incarnation) return;
    if (process.kind === 'dead' && (process.how !== 'exiting' || how === 'exiting')) return;
    node.process = { kind: 'dead', incarnation, how };
    const big = isBig(node);
    if (big && how !== 'reaped') yieldToOthers(incarnation.pid);
    letGo(node);
    if (process.kind === 'running' && how !== 'reaped') {
      const ended = endSocketsOf(node.spec, incarnation, big ? 0 : quickDeathMs)
        .catch(options.onProblem)
        .finally(() => endingSockets.delete(ended));
      endingSockets.add(ended);
    }
    releaseSoon(node.spec.settings.endpointAddresses);
    changed(node.spec.nodeId);
  }

  async function endSocketsOf(
    spec: NodeSpec,
    { pid, startTicks }: Incarnation,
    delayMs: number,
  ): Promise<void> {
    if (delayMs > 0) await sleep(delayMs);
    // Its first task may be a zombie already while another one still frees the memory, before it closes the sockets.
    if (readStat(pid)?.startTicks !== startTicks) return;
    const { address, endpointAddresses, port, plainPort, tlsPort } = spec.settings;
    const ports = keepsAdminConnection(spec.settings.engine) ? [plainPort, tlsPort] : [port];
    await sockets?.end(
      [address, ...endpointAddresses],
      ports.filter((each) => each !== 0),
    );
  }

  function letGo(node: OwnNode): void {
    prober.forget(node.spec.nodeId);
    node.admin?.close();
    node.admin = undefined;
    node.stat?.close();
    node.stat = undefined;
    node.stats?.close();
    node.stats = undefined;
  }

  /** Gives up what no node here listens on: one of them may have taken it over. */
  async function release(endpointAddresses: readonly string[]): Promise<void> {
    const held = [...nodes.values()].flatMap(({ process, spec }) =>
      process.kind === 'running' ? spec.settings.endpointAddresses : [],
    );
    await network.release(endpointAddresses.filter((address) => !held.includes(address)));
  }

  /**
   * Endpoints of a node that died are given up, but not at once: as long as nobody has them, clients that connect get no
   * answer at all and wait for a second, while here they are refused and come again.
   */
  function releaseSoon(endpointAddresses: readonly string[]): void {
    if (endpointAddresses.length === 0) return;
    setTimeout(() => {
      if (!closed) release(endpointAddresses).catch(options.onProblem);
    }, endpointLingerMs);
  }

  function look(node: OwnNode): void {
    const { process } = node;
    // A process that is exiting is looked at again: its end sets its sockets free.
    if (process.kind === 'absent' || (process.kind === 'dead' && process.how !== 'exiting')) return;
    const how = deathOf(process.incarnation, node.stat);
    if (how !== undefined) died(node, process.incarnation, how);
  }

  /** After a closed connection the process may be dying right now: look again a few times, soon. */
  async function lookSoon(node: OwnNode): Promise<void> {
    for (const delayMs of [0, 1, 2, 4, 8]) {
      await sleep(delayMs);
      look(node);
      if (node.process.kind !== 'running') return;
    }
  }

  function watch(node: OwnNode, incarnation: Incarnation): void {
    node.process = { kind: 'running', incarnation };
    node.stat = openStat(incarnation.pid);
    connect(node);
    const { nodeId, settings } = node.spec;
    const { address, port, tlsPort } = settings;
    if (!keepsAdminConnection(settings.engine)) {
      node.stats = statsLine({ address, port, tls: tlsPort !== 0, own: node.own });
    }
    prober.watch({
      nodeId,
      incarnation,
      place: keepsAdminConnection(settings.engine)
        ? { kind: 'admin-socket', folder: folders.path(nodeId), password: options.secrets.admin(nodeId) }
        : { kind: 'memcached', address, port, tls: tlsPort !== 0 },
    });
  }

  function connect(node: OwnNode): void {
    node.admin?.close();
    node.admin = undefined;
    const { nodeId, settings } = node.spec;
    if (!keepsAdminConnection(settings.engine)) return;
    node.admin = adminConnection(folders.path(nodeId), options.secrets.admin(nodeId), {
      onConnection: node.own.count,
      onReady: () => changed(nodeId),
      onClose: () => void lookSoon(node),
    });
  }

  /** Writes it unless the one that is there serves these addresses for long enough. */
  async function provideCertificate(
    spec: NodeSpec,
    addresses: readonly string[],
    anew: boolean,
  ): Promise<void> {
    if (spec.settings.tlsPort === 0) return;
    const wanted = [spec.settings.address, ...addresses];
    if (!anew && folders.certificateServes(spec.nodeId, wanted)) return;
    await folders.writeCertificate(spec.nodeId, await options.certificates.issue(spec.nodeId, wanted));
  }

  /** @throws NodeUnreachable */
  function adminOf(nodeId: string): { node: OwnNode; admin: AdminConnection } {
    const node = nodes.get(nodeId);
    if (node?.admin === undefined) throw new NodeUnreachable(`Node ${nodeId} is not running.`);
    return { node, admin: node.admin };
  }

  function kept(node: OwnNode): Omit<KeptNode, 'build'> {
    const { nodeId } = node.spec;
    return {
      folder: folders.path(nodeId),
      send: (commands) => adminOf(nodeId).admin.send(commands),
      runs: () => {
        look(node);
        return !closed && nodes.get(nodeId) === node && node.process.kind === 'running';
      },
    };
  }

  async function keepDataOf(node: OwnNode): Promise<void> {
    const { nodeId } = node.spec;
    node.kept = 'saving';
    try {
      await snapshots.saveInPlace(nodeId, kept(node));
      node.kept = 'saved';
    } catch (error) {
      node.kept = 'failed';
      options.onProblem(error as Error);
    }
    changed(nodeId);
  }

  /** Data that was saved or loaded is not left in the node's folder. */
  function tidySoon(node: OwnNode): void {
    snapshots.tidy(node.spec.nodeId, kept(node)).catch(options.onProblem);
  }

  for (const { spec, incarnation } of await folders.readAll()) {
    nodes.set(spec.nodeId, {
      spec,
      process: incarnation === undefined ? { kind: 'absent' } : { kind: 'dead', incarnation, how: 'gone' },
      admin: undefined,
      own: ownConnectionCounter(),
    });
  }
  const sessions = sessionsNaming(`${folders.directory}/`);
  for (const node of nodes.values()) {
    const mark = engineMark(folders.path(node.spec.nodeId), node.spec.settings.engine);
    const runs = sessions.filter(({ words }) => words.includes(mark)).map((each) => each.incarnation);
    const recorded = node.process.kind === 'dead' ? node.process.incarnation : undefined;
    const run =
      runs.find(({ pid, startTicks }) => pid === recorded?.pid && startTicks === recorded.startTicks) ??
      runs.at(-1);
    if (run === undefined || deathOf(run) !== undefined) continue;
    watch(node, run);
    if (keepsAdminConnection(node.spec.settings.engine)) tidySoon(node);
  }

  for (const { process, spec } of nodes.values()) {
    const { address, endpointAddresses } = spec.settings;
    if (process.kind === 'running') await network.take([address, ...endpointAddresses]);
    // It ended while nobody looked.
    else await network.release(endpointAddresses);
  }

  let watchedClosely: readonly OwnNode[] = [];
  const watchTimers = [
    setInterval(() => {
      for (const node of nodes.values()) look(node);
      watchedClosely = [...nodes.values()].filter(isBig).slice(0, mostWatchedClosely);
    }, watchPeriodMs),
    setInterval(() => {
      for (const node of watchedClosely) look(node);
    }, closeWatchPeriodMs),
  ];

  async function startNode(spec: NodeSpec, data?: StartData): Promise<void> {
    const known = nodes.get(spec.nodeId);
    if (known !== undefined) look(known);
    if (known?.process.kind === 'running') return;
    const build = await options.findBuild(spec.settings.engine, spec.version);
    await folders.prepare(spec);
    const addresses = [spec.settings.address, ...spec.settings.endpointAddresses];
    await Promise.all(endingSockets);
    await network.take(addresses);
    await provideCertificate(spec, spec.certificateAddresses ?? [], false);
    const folder = folders.path(spec.nodeId);
    if (data !== undefined) await snapshots.provide(folder, build, data);
    const log = await open(join(folder, 'engine.log'), 'a', 0o600);
    // The shell takes away core dumps (they would delay the noticing of a crash), allows all the files it
    // may, and becomes the engine.
    const child = spawn(
      '/bin/sh',
      [
        '-c',
        'ulimit -c 0; ulimit -n "$(ulimit -Hn)"; exec "$0" "$@"',
        build.command.file,
        ...build.command.args,
      ].concat(engineArguments(spec.settings, folder, limits)),
      { cwd: folder, detached: true, stdio: ['ignore', log.fd, log.fd] },
    );
    const failure = await new Promise<Error | undefined>((resolve) => {
      child.once('spawn', () => resolve(undefined));
      child.once('error', resolve);
    });
    await log.close();
    if (failure !== undefined) throw failure;
    child.unref();
    const stat = readStat(child.pid!);
    const node: OwnNode = {
      spec,
      process: { kind: 'absent' },
      admin: undefined,
      own: ownConnectionCounter(),
    };
    nodes.set(spec.nodeId, node);
    const incarnation = { pid: child.pid!, startTicks: stat?.startTicks ?? 0 };
    watch(node, incarnation);
    child.once('exit', () => died(node, incarnation, 'reaped'));
    network.announce(addresses);
    await folders.recordProcess(spec.nodeId, incarnation);
    if (!keepsAdminConnection(spec.settings.engine)) void announceWhenAnswering(node);
    if (keepsAdminConnection(spec.settings.engine)) tidySoon(node);
  }

  async function announceWhenAnswering(node: OwnNode): Promise<void> {
    while (!closed && node.process.kind === 'running') {
      const { address, port, tlsPort } = node.spec.settings;
      const answers = await memcachedItems(address, port, tlsPort !== 0, node.own).then(
        () => true,
        () => false,
      );
      if (answers) return changed(node.spec.nodeId);
      await sleep(spawnCheckMs);
    }
  }

  async function stop(node: OwnNode): Promise<void> {
    look(node);
    if (node.process.kind !== 'running') return;
    const { pid } = node.process.incarnation;
    const deadline = performance.now() + stopGraceMs;
    signal(pid, 'SIGTERM');
    while (node.process.kind === 'running') {
      if (performance.now() > deadline) signal(pid, 'SIGKILL');
      await sleep(spawnCheckMs);
      look(node);
    }
  }

  return {
    id: options.id,
    mostConnections: limits.openFiles - spareFiles,
    async observe(nodeIds) {
      const seen = await Promise.all(
        nodeIds.map(async (nodeId): Promise<NodeObservation> => {
          const node = nodes.get(nodeId);
          if (node === undefined) return { nodeId, process: { kind: 'absent' } };
          return observeNode(node, look, options.onProblem);
        }),
      );
      return new Map(seen.map((each) => [each.nodeId, each]));
    },
    async readSettings(nodeIds) {
      const found = nodeIds.map((nodeId) => nodes.get(nodeId)).filter((node) => node !== undefined);
      const seen = await Promise.all(
        found.map(async (node) => {
          return [node.spec.nodeId, await readNodeSettings(node, folders, options.onProblem)] as const;
        }),
      );
      return new Map(seen.filter((each): each is [string, NodeSettings] => each[1] !== undefined));
    },
    readings: (nodeIds) =>
      readNodes(
        nodeIds.flatMap((nodeId) => nodes.get(nodeId) ?? []),
        readingWatch,
        options.onProblem,
      ),
    startNode,
    async keepData(nodeId, order) {
      fence.admit(order);
      const { node } = adminOf(nodeId);
      if (node.kept === undefined) void keepDataOf(node);
    },
    async stopNode(nodeId, order) {
      fence.admit(order);
      const node = nodes.get(nodeId);
      if (node === undefined) return;
      if (node.kept === 'saved' && node.process.kind === 'running') {
        await folders.recordKept(nodeId, node.process.incarnation);
      }
      await stop(node);
    },
    async killNode(nodeId, order, { pid, startTicks }) {
      fence.admit(order);
      const node = nodes.get(nodeId);
      if (node === undefined) return true;
      for (const deadline = performance.now() + killWaitMs; ; ) {
        look(node);
        if (node.process.kind !== 'running') return true;
        const run = node.process.incarnation;
        if (run.pid !== pid || run.startTicks !== startTicks) return true;
        if (performance.now() > deadline) return false;
        signal(pid, 'SIGKILL');
        await sleep(spawnCheckMs);
      }
    },
    async listen(nodeId, order, { addresses, dropped, port, lingering }) {
      fence.admit(order);
      const { node, admin } = adminOf(nodeId);
      const { address } = node.spec.settings;
      await Promise.all(endingSockets);
      await network.take(addresses);
      const endpointAddresses = addresses.filter((each) => each !== address);
      // Before the engine listens there: its death gives them up.
      node.spec = { ...node.spec, settings: { ...node.spec.settings, endpointAddresses } };
      await admin.send([
        ['CONFIG', 'SET', 'bind', addresses.join(' ')],
        // A client that came by an endpoint must not linger on a node that lost it.
        ...dropped.map((address) => ['CLIENT', 'KILL', 'LADDR', `${address}:${port}`, 'SKIPME', 'yes']),
      ]);
      network.announce(endpointAddresses);
      if (lingering === true) releaseSoon(dropped);
      else await release(dropped);
      await folders.recordSpec(node.spec);
    },
    async setUsers(nodeId, order, users) {
      fence.admit(order);
      const { node, admin } = adminOf(nodeId);
      await admin.send(userCommands((await admin.readParameters()).userNames, users));
      node.spec = { ...node.spec, settings: { ...node.spec.settings, users } };
      await folders.recordSpec(node.spec);
    },
    async setPorts(nodeId, order, { plainPort, tlsPort }, addresses) {
      fence.admit(order);
      const { node, admin } = adminOf(nodeId);
      const spec: NodeSpec = {
        ...node.spec,
        certificateAddresses: addresses,
        settings: { ...node.spec.settings, plainPort, tlsPort },
      };
      await provideCertificate(spec, addresses, false);
      await admin.send(portCommands(node.spec.settings, spec.settings));
      node.spec = spec;
      await folders.recordSpec(spec);
    },
    async renewCertificate(nodeId, order, addresses) {
      fence.admit(order);
      const node = nodes.get(nodeId);
      if (node === undefined) throw new NodeUnreachable(`Node ${nodeId} is not running.`);
      await provideCertificate(node.spec, addresses, true);
      if (keepsAdminConnection(node.spec.settings.engine)) {
        await adminOf(nodeId).admin.send(certificateCommands());
      } else {
        const { address, port } = node.spec.settings;
        await memcachedCommand(address, port, true, 'refresh_certs', node.own);
      }
    },
    async removeNode(nodeId) {
      const node = nodes.get(nodeId);
      if (node !== undefined) await stop(node);
      if (node !== undefined) letGo(node);
      nodes.delete(nodeId);
      if (node !== undefined) await network.release([node.spec.settings.address]);
      await folders.remove(nodeId);
    },
    async command(nodeId, order, commands) {
      fence.admit(order);
      return adminOf(nodeId).admin.send(commands);
    },
    async saveSnapshot(nodeId, order, file, stopping) {
      fence.admit(order);
      const { node } = adminOf(nodeId);
      const build = await options.findBuild(node.spec.settings.engine, node.spec.version);
      const { runs, ...rest } = kept(node);
      return snapshots.save(
        nodeId,
        { ...rest, build, runs: () => stopping?.aborted !== true && runs() },
        file,
      );
    },
    copySnapshot: snapshots.copySnapshot,
    removeSnapshot: snapshots.removeSnapshot,
    ...transfers,
    async moveKeys(nodeId, order, move) {
      fence.admit(order);
      adminOf(nodeId);
      const { admin } = options.secrets;
      const passwords = { source: admin(nodeId), target: admin(move.to.nodeId) };
      return moveKeys(folders.path(nodeId), passwords, move);
    },
    deliverLogs(source, targets) {
      const { nodeId } = source;
      const node = {
        folder: folders.path(nodeId),
        send: async (commands: readonly (readonly string[])[]) => adminOf(nodeId).admin.send(commands),
      };
      return deliverLogs(node, source, targets);
    },
    readLog: (source, target, position) => readLog(join(options.directory, 'logs'), source, target, position),
    certificateFiles(nodeId) {
      const folder = folders.path(nodeId);
      return {
        certificateFile: join(folder, certificateFiles.certificate),
        keyFile: join(folder, certificateFiles.key),
        authorityFile: join(folder, certificateFiles.authority),
      };
    },
    nodeIds: () => [...nodes.keys()],
    giveUpEndpoints(nodeId) {
      const node = nodes.get(nodeId);
      if (node === undefined) return;
      const before = node.spec;
      node.spec = { ...before, settings: { ...before.settings, endpointAddresses: [] } };
      releaseSoon(before.settings.endpointAddresses);
    },
    announce() {
      for (const { process, spec } of nodes.values()) {
        if (process.kind !== 'running') continue;
        network.announce([spec.settings.address, ...spec.settings.endpointAddresses]);
      }
    },
    runningNodes: (nodeIds) =>
      nodeIds.flatMap((nodeId) => {
        const node = nodes.get(nodeId);
        if (node?.process.kind !== 'running' || !keepsAdminConnection(node.spec.settings.engine)) return [];
        const { address, endpointAddresses } = node.spec.settings;
        const { incarnation } = node.process;
        return [{ nodeId, folder: folders.path(nodeId), incarnation, address, endpointAddresses }];
      }),
    isAddressFree: (address, port) =>
      new Promise((resolve) => {
        const probe = createServer();
        probe.once('error', () => resolve(false));
        probe.listen(port, address, () => probe.close(() => resolve(true)));
      }),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      closed = true;
      for (const timer of watchTimers) clearInterval(timer);
      sockets?.close();
      for (const node of nodes.values()) letGo(node);
      await prober.close();
    },
  };

  function signal(pid: number, name: NodeJS.Signals): void {
    try {
      process.kill(pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') options.onProblem(error as Error);
    }
  }
}
