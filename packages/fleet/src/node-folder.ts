/** A node's folder: what is written there and read back by a service that was restarted. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { adminSocket, certificateFiles, renderConfigFile } from '@larder/engine/config-file';
import type { Incarnation } from './host.ts';
import type { NodeSpec } from './node-spec.ts';

/** No node id begins with a dot. */
const gravePrefix = '.removed-';

export interface NodeFolders {
  readonly directory: string;
  path(nodeId: string): string;
  /**
   * Creates the folder and renders the engine's configuration. Removes the data that a replica received from its
   * primary and left behind: the engine would load it at its start and serve what was long since deleted.
   */
  prepare(spec: NodeSpec): Promise<void>;
  /** What the next service finds the node by; the engine's configuration stays as it is. */
  recordSpec(spec: NodeSpec): Promise<void>;
  recordProcess(nodeId: string, incarnation: Incarnation): Promise<void>;
  /** What this run of the process saved is whole, and it is ended now: its next start may use that. */
  recordKept(nodeId: string, incarnation: Incarnation): Promise<void>;
  writeCertificate(
    nodeId: string,
    pem: { readonly certificatePem: string; readonly keyPem: string; readonly authorityPem: string },
  ): Promise<void>;
  /** Undefined when there is none. */
  certificateEndsAtMs(nodeId: string): number | undefined;
  /** Whether the one that is there names all these addresses and has not ended. */
  certificateServes(nodeId: string, addresses: readonly string[]): boolean;
  /**
   * Every node that has a folder, with its last recorded process. Clears away what a crash left half done: a removal, a
   * file not yet renamed. For the start, before anything else writes here.
   */
  readAll(): Promise<{ spec: NodeSpec; incarnation?: Incarnation }[]>;
  remove(nodeId: string): Promise<void>;
}

const keptFile = 'kept.json';
const partialSuffix = '.partial';

export function nodeFolders(directory: string): NodeFolders {
  const path = (nodeId: string) => join(directory, nodeId);

  async function readNode(name: string): Promise<{ spec: NodeSpec; incarnation?: Incarnation } | undefined> {
    const halves = (await readdir(path(name)).catch(() => [])).filter((file) => file.endsWith(partialSuffix));
    for (const half of halves) await rm(join(path(name), half), { force: true });
    const spec = await readJson<NodeSpec>(join(path(name), 'spec.json'));
    if (spec === undefined) return undefined;
    const incarnation = await readJson<Incarnation>(join(path(name), 'process.json'));
    return { spec, ...(incarnation !== undefined && { incarnation }) };
  }

  /** Saved by the last run, which nobody but us ended; a primary never starts with what is older than its replicas' data. */
  async function mayUseKept({ nodeId, settings }: NodeSpec): Promise<boolean> {
    const kept = await readJson<Incarnation>(join(path(nodeId), keptFile));
    const last = await readJson<Incarnation>(join(path(nodeId), 'process.json'));
    const isLast = kept !== undefined && kept.pid === last?.pid && kept.startTicks === last.startTicks;
    return isLast && (settings.clusterEnabled || settings.replicaOf !== undefined);
  }

  function readCertificate(nodeId: string): X509Certificate | undefined {
    try {
      return new X509Certificate(readFileSync(join(path(nodeId), certificateFiles.certificate)));
    } catch {
      // None yet, or no certificate: it is made anew.
      return undefined;
    }
  }

  return {
    directory,
    path,
    async prepare(spec) {
      const folder = path(spec.nodeId);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      if (spec.settings.engine !== 'memcached') {
        if (!(await mayUseKept(spec))) await removeReceivedData(folder);
        await rm(join(folder, keptFile), { force: true });
        // A process that is dying may listen there still, and would be taken for the one to come.
        await rm(join(folder, adminSocket), { force: true });
        await writeWhole(join(folder, 'engine.conf'), renderConfigFile(spec.settings, spec.version, folder));
      }
      await this.recordSpec(spec);
    },
    recordSpec: (spec) => writeWhole(join(path(spec.nodeId), 'spec.json'), JSON.stringify(spec)),
    async writeCertificate(nodeId, { certificatePem, keyPem, authorityPem }) {
      const folder = path(nodeId);
      await writeWhole(join(folder, certificateFiles.authority), authorityPem);
      await writeWhole(join(folder, certificateFiles.key), keyPem);
      await writeWhole(join(folder, certificateFiles.certificate), certificatePem);
    },
    certificateEndsAtMs(nodeId) {
      const found = readCertificate(nodeId);
      return found && Date.parse(found.validTo);
    },
    certificateServes(nodeId, addresses) {
      const found = readCertificate(nodeId);
      if (found === undefined || Date.parse(found.validTo) < Date.now()) return false;
      return addresses.every((address) => found.checkIP(address) !== undefined);
    },
    recordKept: (nodeId, incarnation) =>
      writeWhole(join(path(nodeId), keptFile), JSON.stringify(incarnation)),
    recordProcess: (nodeId, incarnation) =>
      writeWhole(join(path(nodeId), 'process.json'), JSON.stringify(incarnation)),
    async readAll() {
      const entries = await readdir(directory).catch(() => []);
      const isGrave = (name: string) => name.startsWith(gravePrefix);
      for (const name of entries.filter(isGrave)) await rm(path(name), { recursive: true, force: true });
      const names = entries.filter((name) => !isGrave(name));
      const nodes = await Promise.all(names.map(readNode));
      return nodes.filter((node) => node !== undefined);
    },
    async remove(nodeId) {
      // Renamed first: a crash in the middle leaves no half folder under the node's name.
      const grave = path(`${gravePrefix}${nodeId}-${Date.now()}`);
      await rename(path(nodeId), grave).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
      await rm(grave, { recursive: true, force: true });
    },
  };
}

/** `dump.rdb`, and `temp-….rdb` of a transfer that a crash cut off. */
async function removeReceivedData(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.rdb'));
  await Promise.all(names.map((name) => rm(join(folder, name), { force: true })));
}

async function readJson<T>(file: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as T;
  } catch {
    // Missing, or cut off by a crash before the rename: as if it had not been written.
    return undefined;
  }
}

async function writeWhole(file: string, text: string): Promise<void> {
  await writeFile(`${file}${partialSuffix}`, text, { mode: 0o600 });
  await rename(`${file}${partialSuffix}`, file);
}
