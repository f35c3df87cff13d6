import { CUSTODIES } from "../../core/key/custody.js"
import { type ExitName, worstExit } from "../../core/base/exit-code.js"
import { rfc3339 } from "../../core/base/expiry.js"
import { materialsOf } from "../../core/plan/material.js"
import { type Report, reportOf, type RowResult } from "../../core/plan/row-result.js"
import type { CustodyKeyRecord } from "../../core/records/sealed-material.js"
import type { Fleet } from "./fleet.js"
import { type Looked, lookAt, type LookOptions, type TokenSight } from "./survey.js"
import type { Row } from "./rows.js"
import { vaultStatus, type VaultStatus } from "./vault-status.js"

const DAY_MS = 86_400_000

/** What one KMS key holds of one generation. */
export interface GenerationStatus {
  readonly region: string
  readonly generation: number
  readonly keyMaterialId: string | null
  readonly state: string
  readonly validTo: string | null
  /** Whole days, rounded down; negative once it is past, null for never. */
  readonly daysLeft: number | null
  /** Of the source key: `present`, `missing`, `damaged`, `unknown`; null where the custody keeps none. */
  readonly source: string | null
  readonly sourceNote: string | null
}

export interface KeyStatus extends RowResult {
  readonly managed: boolean
  readonly alias: string | null
  /** By Region, the target's own first; null where KMS could not be asked. */
  readonly keyStates: readonly { readonly region: string; readonly keyArn: string; readonly keyState: string | null }[]
  readonly generations: readonly GenerationStatus[]
}

export interface CustodyKeyStatus {
  readonly id: string
  readonly label: string
  readonly token: string
  readonly backupConfirmedAt: string | null
  /** Sealed keys that end with it, unless a backup brings it back. */
  readonly warning: string | null
}

export interface Status extends Omit<Report, "keys"> {
  readonly keys: readonly KeyStatus[]
  readonly tokens: readonly TokenSight[]
  readonly custodyKeys: readonly CustodyKeyStatus[]
  readonly vault: VaultStatus
}

/** Every key as KMS, token, vault and inventory have it. It changes nothing, and works without a token. */
export async function status(
  fleet: Fleet,
  rows: readonly Row[],
  options: Pick<LookOptions, "actions" | "onRow">,
): Promise<{ readonly status: Status; readonly exit: ExitName }> {
  const sight = await lookAt(fleet, rows, { ...options, look: { tags: true, materials: "all" } })
  const keys = sight.rows.map(statusOf)
  const custodyKeys = (await fleet.custodyKeys.list()).map(custodyKeyStatus)
  const vault = await vaultStatus(fleet, sight.seen)
  const { summary } = reportOf(sight.rows)
  // a key in a bad state was looked at all the same: only what could not be seen fails
  const unseen = sight.rows.filter(({ snapshot }) => [snapshot.key, ...snapshot.replicas].some(isUnseen))
  const exit = worstExit([sight.tokenExit, ...unseen.map((one) => one.exit)])
  return { status: { keys, summary, tokens: sight.tokens, custodyKeys, vault }, exit }
}

const isUnseen = (view: Looked["snapshot"]["key"]): boolean =>
  view.seen === "failed" && view.code !== "ERR_KMS_KEY_NOT_FOUND"

function statusOf({ row, snapshot }: Looked): KeyStatus {
  const { binding, entry, now, sources } = snapshot
  const keeps = CUSTODIES[row.custody as keyof typeof CUSTODIES].reimport
  const keyStates = [snapshot.key, ...snapshot.replicas].flatMap((view) =>
    view.seen === "nothing"
      ? []
      : [
          {
            region: view.region,
            keyArn: view.keyArn,
            keyState: view.seen === "key" ? view.description.keyState : null,
          },
        ],
  )
  const generations = materialsOf(snapshot).map(({ region, generation, keyMaterialId, state, validTo }) => {
    const source = keeps ? sources.find((one) => one.generation === generation) : undefined
    return {
      ...{ region, generation, keyMaterialId, state },
      validTo: validTo === null ? null : rfc3339(validTo),
      daysLeft: validTo === null ? null : Math.floor((validTo.getTime() - now.getTime()) / DAY_MS),
      source: source?.state ?? null,
      sourceNote: source?.note ?? null,
    }
  })
  return { ...row, managed: binding.managed, alias: entry?.alias ?? binding.alias, keyStates, generations }
}

function custodyKeyStatus({ id, label, token, backupConfirmedAt }: CustodyKeyRecord): CustodyKeyStatus {
  const warning =
    backupConfirmedAt === null
      ? `no backup of custody key ${label} is confirmed: if token "${token.label}" is lost, every sealed key ends with ` +
        "its next expiry; make the vendor's backup, then `keyferry key backup-confirmed`"
      : null
  return { id, label, token: token.label, backupConfirmedAt, warning }
}
