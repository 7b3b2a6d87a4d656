/**
 * What a host does about snapshots with others: uploads kept files to a bucket, fetches data files from one, and loads
 * kept ones into engines that serve nobody.
 */
import { engineTraits } from '@larder/engine/engine';
import type { EngineBuild } from '@larder/engine/store/engine-build';
import { checkDataFile } from './check-data-file.ts';
import {
  type Host,
  type Loader,
  type Rehearsal,
  SaveFailed,
  SnapshotDamaged,
  type SnapshotFile,
} from './host.ts';
import {
  type ObjectPlace,
  type ObjectStore,
  type ObjectStoreAccess,
  transferLimitMs,
} from './object-store/object-store.ts';
import { s3ObjectStore } from './object-store/s3.ts';
import { uploadRecords } from './object-store/upload-records.ts';
import { type RehearsalOptions, rehearse } from './rehearsal.ts';
import type { SnapshotFolders } from './snapshot-folders.ts';
import type { SnapshotKeeper } from './snapshot-keeper.ts';

export interface SnapshotTransfersOptions {
  readonly folders: SnapshotFolders;
  /** Of uploads that were begun. */
  readonly recordsDirectory: string;
  /** For engines that serve nobody. What a killed service left there was removed. */
  readonly scratchDirectory: string;
  readonly findBuild: (engine: Loader['engine'], version: string) => Promise<EngineBuild>;
  readonly betweenSaves: SnapshotKeeper['betweenSaves'];
  readonly openStore?: (access: ObjectStoreAccess) => Promise<ObjectStore>;
}

export type SnapshotTransfers = Pick<
  Host,
  'exportSnapshot' | 'abandonExport' | 'importSnapshot' | 'rehearseSnapshot'
>;

const never = new AbortController().signal;

export function snapshotTransfers(options: SnapshotTransfersOptions): SnapshotTransfers {
  const { folders, scratchDirectory, betweenSaves, openStore = s3ObjectStore } = options;
  const records = uploadRecords(options.recordsDirectory);

  async function withStore<T>(
    access: ObjectStoreAccess,
    work: (store: ObjectStore) => Promise<T>,
  ): Promise<T> {
    const store = await openStore(access);
    try {
      return await work(store);
    } finally {
      store.close();
    }
  }

  async function abandon(store: ObjectStore, place: ObjectPlace): Promise<void> {
    const uploadId = await records.open(place);
    if (uploadId === undefined) return;
    await store.abandon(place, uploadId);
    await records.ended(place);
  }

  /** An engine that is to save does not wait for it: that may be a part of a handover. */
  function rehearseBetweenSaves(what: Omit<RehearsalOptions, 'directory'>): Promise<Rehearsal> {
    return betweenSaves(async (aSaveWaits) => {
      const stopping = AbortSignal.any([what.stopping, aSaveWaits]);
      try {
        return await rehearse({ ...what, stopping, directory: scratchDirectory });
      } catch (error) {
        if (!aSaveWaits.aborted || what.stopping.aborted) throw error;
        return { kind: 'skipped', because: 'an engine of the host was to save' };
      }
    });
  }

  /** @throws SnapshotDamaged */
  async function refuseForeignSlots(
    file: SnapshotFile,
    build: EngineBuild,
    { slots }: Loader,
    usedMemoryBytes: number,
    stopping: AbortSignal,
  ): Promise<void> {
    if (slots === undefined) return;
    const found = await rehearseBetweenSaves({
      build,
      provide: (target) => folders.linkReceived(file, target),
      usedMemoryBytes,
      slots,
      stopping,
    });
    if (found.kind === 'loaded') return;
    // Another time there is room.
    if (found.kind === 'skipped')
      throw new SaveFailed(`The file of shard ${file.shard} could not be looked at: ${found.because}.`);
    throw new SnapshotDamaged(`The file of shard ${file.shard} can't be used: ${found.because}.`);
  }

  return {
    exportSnapshot: (file, kept, to, access, stopping = never) =>
      withStore(access, async (store) => {
        await abandon(store, to);
        const signal = AbortSignal.any([stopping, AbortSignal.timeout(transferLimitMs(kept.sizeBytes))]);
        try {
          await store.upload(
            to,
            { ...kept, read: () => folders.read(file) },
            { signal, begun: (uploadId) => records.begun(to, uploadId) },
          );
          await records.ended(to);
        } catch (error) {
          // When the store is away the record stays, for whoever asks again.
          await abandon(store, to).catch(() => {});
          throw error;
        }
      }),
    abandonExport: (to, access) => withStore(access, (store) => abandon(store, to)),
    importSnapshot: (_nodeId, file, { place, maxBytes }, loader, access, stopping = never) =>
      withStore(access, async (store) => {
        const build = await options.findBuild(loader.engine, loader.version);
        const path = await folders.incoming(file);
        const signal = AbortSignal.any([stopping, AbortSignal.timeout(transferLimitMs(maxBytes))]);
        try {
          await store.download(place, path, { signal, maxBytes });
          const report = await checkDataFile(build, path);
          if (report === undefined) {
            throw new SnapshotDamaged(
              `${engineTraits[build.engine].title} ${build.version} can't read ${place.key} of bucket ${place.bucket}: it is damaged, or of a newer version.`,
            );
          }
          await refuseForeignSlots(file, build, loader, report.usedMemoryBytes, stopping);
          return { ...(await folders.keep(file)), ...report };
        } finally {
          await folders.drop(file);
        }
      }),
    async rehearseSnapshot(file, { sha256, usedMemoryBytes }, loader, stopping = never): Promise<Rehearsal> {
      const build = await options.findBuild(loader.engine, loader.version);
      return rehearseBetweenSaves({
        build,
        provide: (target) => folders.extract(file, sha256, target),
        usedMemoryBytes,
        stopping,
      });
    },
  };
}
