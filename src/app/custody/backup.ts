import { KeyferryError } from "../../core/base/error.js"
import type { CustodyKeyRecord } from "../../core/records/sealed-material.js"
import { sameToken } from "../../core/token/token-info.js"
import type { Deps } from "../deps.js"
import { record, type RecordDeps } from "../record.js"

export interface ConfirmRequest {
  readonly owner: string
  /** CKA_ID, hex; null for the newest, where all are of one token. */
  readonly custodyKey: string | null
  /** Where the backup is, in the operator's words; goes into the custody log. */
  readonly note: string | null
}

export interface BackupConfirmed {
  readonly outcome: "done" | "nothing"
  readonly id: string
  readonly label: string
  readonly kcv: string | null
  readonly token: CustodyKeyRecord["token"]
  /** RFC 3339 UTC: when it was confirmed first. */
  readonly backupConfirmedAt: string
  readonly note: string | null
}

/**
 * Records that the operator made a backup of the token with its custody key. Nothing can check that: it is a statement,
 * kept with its date. Said again it stays as it was, unless there is a note to add.
 *
 * @throws ERR_KEY_NOT_FOUND; ERR_KEY_AMBIGUOUS where none is named and several tokens have one
 */
export async function confirmBackup(
  deps: Pick<Deps, "custodyKeys" | "clock"> & RecordDeps,
  { owner, custodyKey, note }: ConfirmRequest,
): Promise<BackupConfirmed> {
  const records = (await deps.custodyKeys.list()).filter((record) => record.owner === owner)
  if (custodyKey === null) refuseSeveralTokens(records)
  const [newest] = [...records].sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1))
  const keyRecord = custodyKey === null ? newest : records.find(({ id }) => id === custodyKey)
  if (keyRecord === undefined) throw unknownKey(custodyKey, records)
  const { id, label, kcv, token } = keyRecord
  if (keyRecord.backupConfirmedAt !== null && note === null) {
    return { outcome: "nothing", id, label, kcv, token, backupConfirmedAt: keyRecord.backupConfirmedAt, note }
  }
  const backupConfirmedAt = keyRecord.backupConfirmedAt ?? deps.clock.now().toISOString()
  await record(deps, "custody-key.backup-confirmed", { key: { owner }, token, facts: { id, label, kcv, note } })
  await deps.custodyKeys.put({ ...keyRecord, backupConfirmedAt })
  return { outcome: "done", id, label, kcv, token, backupConfirmedAt, note }
}

/** Each token counts its custody keys from 1, and a backup is of one token: which one was made nobody can guess. */
function refuseSeveralTokens(records: readonly CustodyKeyRecord[]): void {
  const [first] = records
  if (first === undefined || records.every(({ token }) => sameToken(token, first.token))) return
  throw new KeyferryError("ERR_KEY_AMBIGUOUS", "several tokens have a custody key, and a backup is of one token", {
    hint: `give --custody-key one of: ${records.map(keyWords).join(", ")}`,
  })
}

const keyWords = ({ id, label, token, backupConfirmedAt }: CustodyKeyRecord): string =>
  `${id} (${label} of token "${token.label}", serial ${token.serial}, ${backupConfirmedAt === null ? "not confirmed" : `confirmed on ${backupConfirmedAt}`})`

function unknownKey(id: string | null, records: readonly CustodyKeyRecord[]): KeyferryError {
  const message = id === null ? "there is no custody key here yet" : `there is no custody key ${id} here`
  return new KeyferryError("ERR_KEY_NOT_FOUND", message, {
    hint:
      records.length === 0
        ? "a custody key is made with the first sealed key: nothing is to be backed up before"
        : `give --custody-key one of: ${records.map(keyWords).join(", ")}`,
  })
}
