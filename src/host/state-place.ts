import type { CheckedLine } from "../app/doctor/check.js"
import type { HeldBinding, HeldWork } from "../core/ports/held-work.js"
import type { SharedQuotas } from "../core/ports/shared-quotas.js"
import type { CustodyLog } from "../core/ports/custody-log.js"
import type { StateCopy } from "../core/ports/state-copy.js"
import type { CustodyEvent } from "../core/records/custody-event.js"
import type { StateBackup } from "../core/records/state-backup.js"
import type { KeyHistoryLine } from "../store/records/history-line.js"
import type { VerifiedArchive } from "../store/archive/read.js"
import type { ArchiveSource } from "../store/archive/write.js"
import type { ClosedLog } from "../store/files/custody-log-rotation.js"
import type { StateLock } from "../store/files/lock.js"
import type { Texts } from "../store/records/texts.js"
import type { LockedRun } from "./state-lock.js"
import type { StateRecords } from "./state-records.js"

/** Where the state is kept: a directory of this host (file-place.ts), or a database (database-place.ts). */
export interface StatePlace extends AsyncDisposable {
  /** Path of the state directory; null where it is not in one. */
  readonly directory: string | null
  readonly texts: Texts
  readonly custodyLog: CustodyLog
  /** Keeps others from the keys that are worked on, where more than one process may change the state; null where its lock does. */
  readonly heldWork: HeldWork | null
  /**
   * Holds keys for all of the run, where {@link heldWork} is not null: disposing gives them back.
   *
   * @throws ERR_KEY_HELD, after so many ms of waiting
   */
  holdForRun(bindings: readonly HeldBinding[], patience: number): Promise<AsyncDisposable>
  /** Of KMS, which all agents share; null where each process keeps its own. */
  readonly quotas: SharedQuotas | null
  /** @throws ERR_BINDING_LOST where what the caller works under is another's by now */
  assertHeld(): Promise<void>
  /**
   * Keeps others from changing the state: with `exclusive` everybody, with `shared`, for who works on keys under
   * `heldWork`, those who change it as a whole. Of a directory there is no sharing.
   *
   * @throws ERR_USAGE, ERR_STATE_*
   */
  lock(run: LockedRun, mode: "shared" | "exclusive"): Promise<StateLock>
  /**
   * Refuses a state that cannot be written, and brings that of an earlier keyferry to this version. The caller has the lock.
   *
   * @returns what is to be said of it; null where nothing was to be done
   * @throws ERR_STATE_WRITE, ERR_STATE_VERSION
   */
  prepare(records: StateRecords): Promise<string | null>
  /** @throws ERR_STATE_INVALID where an import was stopped half-way */
  assertWhole(): Promise<void>
  /** When the state was last exported. */
  backup(): Promise<StateBackup>
  /**
   * The state at one moment. Of a directory the caller has the lock, and need not any more afterwards.
   *
   * @throws ERR_STATE_INVALID where the custody log's chain does not hold, ERR_STATE_UNSAFE, ERR_DATABASE_*
   */
  takeSnapshot(exportedAt: Date): Promise<ArchiveSource & AsyncDisposable>
  /**
   * Writes an archive into the state, which is empty, and the event that says so. The caller has the lock.
   *
   * @throws ERR_STATE_NOT_EMPTY, ERR_STATE_ARCHIVE_INVALID, ERR_STATE_WRITE, ERR_DATABASE_*
   */
  importArchive(archive: VerifiedArchive, imported: CustodyEvent): Promise<void>
  /**
   * Closes the part of the custody log that is of earlier years; null where there is none. The caller has the lock.
   *
   * @throws ERR_USAGE where lines have no parts, ERR_STATE_INVALID, ERR_STATE_WRITE
   */
  closeEarlierYears(): Promise<ClosedLog | null>
  /** The newest lines of the custody log that are about each name, newest first. */
  histories(names: ReadonlySet<string>, limit: number): Promise<ReadonlyMap<string, readonly KeyHistoryLine[]>>
  /**
   * Keeps another agent out where one alone may work on this state, and agents of another owner where several may.
   *
   * @throws ERR_STATE_LOCKED, ERR_STATE_WRITE, ERR_CONFIG_INVALID
   */
  lockAgent(owner: string): Promise<Disposable>
  /** A copy of a state directory, to be read. @throws ERR_INPUT_UNREADABLE, ERR_USAGE, ERR_STATE_VERSION */
  copyOf(directory: string): Promise<StateCopy>
  /** What `doctor` says of it, of the custody log and of the last export. */
  doctorLines(): Promise<readonly CheckedLine[]>
}
