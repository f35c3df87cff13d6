import { CUSTODIES } from "../../core/key/custody.js"
import { type ErrorCause, type ErrorCode, KeyferryError } from "../../core/base/error.js"
import { type ExitName, worstExit } from "../../core/base/exit-code.js"
import { rfc3339 } from "../../core/base/expiry.js"
import { type Loss, lossOf } from "../../core/plan/loss.js"
import { type Material, materialsOf } from "../../core/plan/material.js"
import type { DecisionRow } from "../../core/plan/decision-row.js"
import { exitOf, type RowSummary, summarise } from "../../core/plan/row.js"
import { isOfUnknownState, isUnseen, type KeyView, type Snapshot } from "../../core/plan/snapshot.js"
import { importOf, type Proof } from "../../core/records/inventory.js"
import type { CustodyKeyRecord } from "../../core/records/sealed-material.js"
import { operationsStatus, type OperationStatus } from "../operation/status.js"
import type { Fleet, FleetKey } from "./fleet.js"
import { survey, type Survey, type SurveyedKey, type SurveyOptions, type TokenSurvey } from "./survey.js"
import { vaultReadOnce } from "./vault-once.js"
import { vaultStatus, type VaultStatus } from "./vault-status.js"

const DAY_MS = 86_400_000

/** What one KMS key holds of one generation. */
export interface GenerationStatus {
  readonly region: string
  readonly generation: number
  readonly keyMaterialId: string | null
  readonly state: string
  readonly validTo: string | null
  /** When it was imported last, as recorded or as its expiry says; null where it never was. RFC 3339 UTC. */
  readonly importedAt: string | null
  /** Whole days, rounded down; negative once it is past, null for never. */
  readonly daysLeft: number | null
  /** Of the source key: `present`, `missing`, `damaged`, `unknown`; null where the custody keeps none. */
  readonly source: string | null
  readonly sourceNote: string | null
  /** Of its last import there; null where none is recorded. */
  readonly proof: Proof | null
}

/** What was recorded of material in a Region that KMS could not be asked about: it may have changed since. */
export interface RecordedMaterial {
  readonly region: string
  readonly generation: number
  /** RFC 3339 UTC; null for never. */
  readonly validTo: string | null
  readonly importedAt: string
}

export interface StatusRow extends DecisionRow {
  readonly managed: boolean
  /** What KMS has lost of it, what that holds back, and what brings it back; null where it is alive, or not seen. */
  readonly dead: Loss | null
  readonly alias: string | null
  /** By Region, the target's own first; null where KMS could not be asked. */
  readonly keyStates: readonly { readonly region: string; readonly keyArn: string; readonly keyState: string | null }[]
  readonly generations: readonly GenerationStatus[]
  readonly recorded: readonly RecordedMaterial[]
  /** Of the KMS keys that were seen, by Region; not there unless it was asked for. */
  readonly usage?: readonly KeyUsageStatus[]
}

/** When a KMS key was last used in a Region; what is null KMS does not know, or does not tell. */
export interface KeyUsageStatus {
  readonly region: string
  readonly keyArn: string
  readonly lastUsedAt: string | null
  readonly operation: string | null
  readonly trackedSince: string | null
  /** Why it is not known, where KMS could not be asked; null where it answered. */
  readonly failure: UsageFailure | null
}

export interface UsageFailure {
  readonly code: ErrorCode
  readonly message: string
  readonly hint: string | null
  readonly causes: readonly ErrorCause[]
}

export interface CustodyKeyStatus {
  readonly id: string
  readonly label: string
  readonly token: string
  readonly backupConfirmedAt: string | null
  /** Sealed keys that end with it, unless a backup brings it back. */
  readonly warning: string | null
}

export interface Status {
  readonly keys: readonly StatusRow[]
  readonly summary: RowSummary
  readonly tokens: readonly TokenSurvey[]
  readonly custodyKeys: readonly CustodyKeyStatus[]
  readonly vault: VaultStatus
  /** What was asked for and has not come to its end. */
  readonly operations: readonly OperationStatus[]
}

/** Every key as KMS, token, vault and inventory have it. It changes nothing, and works without a token. */
export async function status(
  opened: Fleet,
  fleetKeys: readonly FleetKey[],
  options: Pick<SurveyOptions, "actions" | "onRow">,
): Promise<{ readonly surveyed: Survey; readonly status: Status; readonly exit: ExitName }> {
  const fleet = { ...opened, vault: vaultReadOnce(opened.vault) }
  const surveyed = await survey(fleet, fleetKeys, { ...options, depth: { tags: true, materials: "all" } })
  return { surveyed, ...(await statusOf(fleet, surveyed)) }
}

/** The rows with when each KMS key was last used: a request for each. A key that may not be asked about says so, and the others go on. */
export async function withUsage(
  fleet: Pick<Fleet, "kmsOf">,
  looked: Status,
): Promise<{ readonly status: Status; readonly exit: ExitName }> {
  const exits: ExitName[] = []
  const usageOf = async (target: string, region: string, keyArn: string): Promise<KeyUsageStatus> => {
    const unknown = { region, keyArn, lastUsedAt: null, operation: null, trackedSince: null }
    try {
      const usage = await (await fleet.kmsOf(target, region)).getKeyLastUsage(keyArn)
      if (usage === null) return { ...unknown, failure: null }
      const { last, trackedSince } = usage
      return {
        region,
        keyArn,
        failure: null,
        lastUsedAt: last === null ? null : rfc3339(last.at),
        operation: last?.operation ?? null,
        trackedSince: trackedSince === null ? null : rfc3339(trackedSince),
      }
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error
      const { code, message, hint, causes, exit } = error
      exits.push(exit)
      return { ...unknown, failure: { code, message, hint, causes } }
    }
  }
  const keys: StatusRow[] = []
  for (const row of looked.keys) {
    const reached = row.keyStates.filter(({ keyState }) => keyState !== null)
    const usage = await Promise.all(reached.map(({ region, keyArn }) => usageOf(row.target, region, keyArn)))
    keys.push({ ...row, usage })
  }
  return { status: { ...looked, keys }, exit: worstExit(exits) }
}

/** The same of a fleet that was looked at. */
export async function statusOf(
  fleet: Fleet,
  { keys, tokens, searched, tokenExit }: Survey,
): Promise<{ readonly status: Status; readonly exit: ExitName }> {
  const custodyKeys = (await fleet.custodyKeys.list()).map(custodyKeyStatus)
  const vault = await vaultStatus(fleet, searched)
  const operations = await operationsStatus(fleet)
  const rows = keys.map(statusRow)
  // a key in a bad state was looked at all the same: only what could not be seen fails
  const unseen = keys.filter(
    ({ snapshot: { key, replicas, damage, unknownKey } }) =>
      damage !== null ||
      unknownKey !== null ||
      [key, ...replicas].some((view) => isUnseen(view) || isOfUnknownState(view)),
  )
  const exit = worstExit([tokenExit, exitOf(unseen.map(({ row }) => row))])
  return { status: { keys: rows, summary: summarise(rows), tokens, custodyKeys, vault, operations }, exit }
}

function statusRow({ row, snapshot }: SurveyedKey): StatusRow {
  const { binding, entry } = snapshot
  return {
    ...row,
    managed: binding.managed,
    dead: lossOf(snapshot),
    alias: entry?.alias ?? binding.alias,
    keyStates: [snapshot.key, ...snapshot.replicas].flatMap(keyStateOf),
    generations: generationsOf(snapshot, row),
    recorded: recordedOf(snapshot),
  }
}

function recordedOf({ entry, key, replicas }: Snapshot): readonly RecordedMaterial[] {
  const unseen = new Set([key, ...replicas].filter(isUnseen).map(({ region }) => region))
  return (entry?.imports ?? []).flatMap(({ region, generation, validTo, importedAt, deletedAt }) =>
    unseen.has(region) && deletedAt === undefined ? [{ region, generation, validTo, importedAt }] : [],
  )
}

function keyStateOf(view: KeyView): StatusRow["keyStates"] {
  if (view.seen === "nothing") return []
  const { region, keyArn } = view
  return [{ region, keyArn, keyState: view.seen === "key" ? view.description.keyState : null }]
}

function generationsOf(snapshot: Snapshot, { custody }: DecisionRow): readonly GenerationStatus[] {
  const keepsSource = custody !== null && CUSTODIES[custody as keyof typeof CUSTODIES].reimport
  return materialsOf(snapshot).map(({ region, generation, keyMaterialId, state, validTo, importedAt }) => {
    const source = keepsSource ? snapshot.sources.find((view) => view.generation === generation) : undefined
    return {
      region,
      generation,
      keyMaterialId,
      state,
      validTo: validTo === null ? null : rfc3339(validTo),
      importedAt: state === "never" ? null : rfc3339(importedAt),
      daysLeft: validTo === null ? null : daysUntil(validTo, snapshot.now, state),
      source: source?.state ?? null,
      sourceNote: source?.note ?? null,
      proof: (snapshot.entry === null ? undefined : importOf(snapshot.entry, generation, region))?.proof ?? null,
    }
  })
}

/** Lost material has none left, whatever its expiry was to be. */
function daysUntil(validTo: Date, now: Date, state: Material["state"]): number {
  const days = Math.floor((validTo.getTime() - now.getTime()) / DAY_MS)
  return state === "lost" ? Math.min(0, days) : days
}

function custodyKeyStatus({ id, label, token, backupConfirmedAt }: CustodyKeyRecord): CustodyKeyStatus {
  const warning =
    backupConfirmedAt === null
      ? `no backup of custody key ${label} (${id}) is confirmed: if token "${token.label}" is lost, every sealed key ends with ` +
        `its next expiry; make the vendor's backup, then \`keyferry key backup-confirmed --custody-key ${id}\``
      : null
  return { id, label, token: token.label, backupConfirmedAt, warning }
}
