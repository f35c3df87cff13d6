import { errorOf } from "../../core/base/error.js"
import { phaseOf } from "../../core/key/key-state.js"
import { KEY_SPECS, type ProofKind } from "../../core/key/key-spec.js"
import { filled, REASONS } from "../../core/plan/reason.js"
import { failedOutcome, rowOutcome } from "../../core/plan/row.js"
import { type InventoryEntry, keysOf, type MadeEntry } from "../../core/records/inventory.js"
import { type Fleet, type FleetKey, fleetKeys } from "../fleet/fleet.js"
import { unknownKey } from "../kms-key/unknown-keys.js"
import { formerInventory } from "../replace/nested-inventory.js"
import { verifyKeyMaterialId } from "./key-material-id.js"
import { verifyMac } from "./mac.js"
import { verifyPublicKey } from "./public-key.js"
import { blocked, disproven, type Verdict, type VerifyRow } from "./row.js"
import type { ProofSubject, VerifyDeps } from "./subject.js"

export interface VerifyOptions {
  /** Symmetric keys are imported once more: one GetParametersForImport for each generation and Region. */
  readonly full: boolean
  /** Called as each key is finished with, with how many are. */
  readonly onRow?: (finished: number, total: number) => void
}

type RecordedKey = FleetKey & { readonly entry: InventoryEntry }

/** The proof that each key family allows (docs/threat-model.md, "What proves what"). */
const PROOFS: Readonly<
  Record<Exclude<ProofKind, "none">, (subject: ProofSubject, options: VerifyOptions) => Promise<Verdict>>
> = {
  "public-key": verifyPublicKey,
  mac: verifyMac,
  "key-material-id": (subject, { full }) => verifyKeyMaterialId(subject, full),
}

/**
 * Proves again, for each KMS key in every Region, that it holds the source key's material: of the names, or of all. Keys
 * that were replaced follow the one that took their place. A key that fails does not stop the others; a failed proof
 * exits with 76. Tokens and targets are opened with the first key that needs them.
 *
 * @throws ERR_KEY_NOT_FOUND for a name that stands for nothing, ERR_STATE_INCOMPLETE
 */
export async function verifyKeys(
  fleet: Fleet,
  names: readonly string[],
  options: VerifyOptions,
): Promise<readonly VerifyRow[]> {
  const rows: VerifyRow[] = []
  const keys = await fleetKeys(fleet, names)
  for (const [index, key] of keys.entries()) {
    const { entry } = key
    options.onRow?.(index, keys.length)
    rows.push(
      ...(entry === null
        ? [await unrecordedRow(fleet, key, names.length > 0)]
        : await verifyKey(fleet, { ...key, entry }, options)),
    )
  }
  return rows
}

/** A key of which this state directory has no entry, or none that can be read: KMS is asked whether it has it. */
async function unrecordedRow(fleet: Fleet, { binding, damage }: FleetKey, isNamed: boolean): Promise<VerifyRow> {
  const { name, target } = binding
  const facts = { name, target, region: "", keyArn: null, replaced: false }
  try {
    if (damage !== null) {
      const { sentence, hint = null } = REASONS.ENTRY_UNREADABLE
      return { ...facts, ...blocked("ENTRY_UNREADABLE", filled(sentence, { fault: damage.message }), { hint }) }
    }
    const kms = await fleet.kmsOf(target)
    const key = await unknownKey({ ...fleet, kms }, binding)
    const nothing = rowOutcome(isNamed ? "blocked" : "nothing", "NOTHING_YET", "no KMS key holds its material yet")
    const verdict =
      key === undefined
        ? { ...nothing, generations: [], use: null }
        : blocked("UNKNOWN_HERE", `KMS has ${key.keyArn}, which this state directory does not know`, { hint: UNKNOWN })
    return { ...facts, region: kms.region, keyArn: key?.keyArn ?? null, ...verdict }
  } catch (error) {
    return { ...facts, ...failedOutcome(errorOf(error, name), "blocked"), generations: [], use: null }
  }
}

const UNKNOWN = REASONS.UNKNOWN_HERE.hint ?? null

async function verifyKey(fleet: Fleet, key: RecordedKey, options: VerifyOptions): Promise<readonly VerifyRow[]> {
  const { entry } = key
  const facts = { name: entry.name, target: entry.target, replaced: key.role === "former" }
  if (entry.keyArn === null || entry.imports.length === 0) {
    const verdict = blocked("UNFINISHED", "nothing was imported yet: run the same provision again")
    return [{ ...facts, region: entry.region, keyArn: entry.keyArn, ...verdict }]
  }
  const recordedArn = entry.keyArn
  const rows: VerifyRow[] = []
  for (const { region, keyArn } of keysOf(entry)) {
    try {
      const deps = await verifyDeps(fleet, key)
      const verify = async (): Promise<Verdict> => {
        // an import into one Region writes the entry that the next one goes on from
        const latest = (await deps.inventory.get(entry.name, entry.target)) ?? entry
        return await verifyIn(deps, { ...latest, keyArn: recordedArn }, { region, keyArn }, options)
      }
      const isHeld = fleet.heldWork !== null && options.full
      const verdict = await (isHeld ? fleet.heldWork.during([entry], verify) : verify())
      rows.push({ ...facts, region, keyArn, ...verdict })
    } catch (error) {
      const outcome = failedOutcome(errorOf(error, entry.name))
      rows.push({ ...facts, region, keyArn, ...outcome, generations: [], use: null })
    }
  }
  return rows
}

/** An import into a replaced KMS key, as `--full` makes one, is kept inside the entry of its name. */
async function verifyDeps(fleet: Fleet, { binding, role, entry }: RecordedKey): Promise<VerifyDeps> {
  const { vault, custodyKeys, operations, custodyLog, heldWork, progress, log, policy, sleep } = fleet
  const inventory = role === "former" ? formerInventory(fleet.inventory, entry, entry.requestId) : fleet.inventory
  return {
    inventory,
    vault,
    custodyKeys,
    operations,
    custodyLog,
    heldWork,
    clock: fleet.clockOf(binding.target),
    progress,
    log,
    policy,
    sleep,
    kmsIn: (region) => fleet.kmsOf(binding.target, region),
    token: await fleet.tokenOf(binding.token),
  }
}

async function verifyIn(
  deps: VerifyDeps,
  entry: MadeEntry,
  { region, keyArn }: { readonly region: string; readonly keyArn: string },
  options: VerifyOptions,
): Promise<Verdict> {
  const kms = await deps.kmsIn(region)
  const description = await kms.describeKey(keyArn)
  const { keySpec, keyState, origin } = description
  if (keySpec !== entry.keySpec || origin !== "EXTERNAL") {
    return disproven(
      "KEY_MISMATCH",
      `${keyArn} is a ${keySpec} key of Origin ${origin}, not an imported ${entry.keySpec}`,
    )
  }
  if (phaseOf(description) !== "usable") {
    return blocked("KEY_STATE", `${keyArn} is in state ${keyState}: only an enabled key can be asked for a proof`)
  }
  return await PROOFS[KEY_SPECS[entry.keySpec].proof]({ deps, kms, entry, keyArn, description }, options)
}
