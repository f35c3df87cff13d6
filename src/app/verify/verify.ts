import { errorOf, KeyferryError } from "../../core/base/error.js"
import { type ExitName, worstExit } from "../../core/base/exit-code.js"
import { type InventoryEntry, keysOf, type MadeEntry } from "../../core/records/inventory.js"
import { phaseOf } from "../../core/key/key-state.js"
import { KEY_SPECS, type ProofKind } from "../../core/key/key-spec.js"
import { verifyKeyMaterialId } from "./key-material-id.js"
import type { Looked, VerifyDeps } from "./looked.js"
import { verifyMac } from "./mac.js"
import { verifyPublicKey } from "./public-key.js"
import { blocked, disproven, type Verdict, type VerifyRow } from "./row.js"

/** One KMS key that is to be verified, with how its token and target are reached. */
export interface VerifyTask {
  readonly entry: InventoryEntry
  readonly role: VerifyRow["role"]
  /** With an inventory that has the entry under its name and target, wherever it is kept. */
  readonly open: () => Promise<VerifyDeps>
}

export interface VerifyOptions {
  /** Symmetric keys are imported once more: one GetParametersForImport for each generation and Region. */
  readonly full: boolean
}

export interface Verification {
  readonly rows: readonly VerifyRow[]
  readonly exit: ExitName
}

/** The proof that each key family allows (KMS.md A6). */
const PROOFS: Readonly<
  Record<Exclude<ProofKind, "none">, (looked: Looked, options: VerifyOptions) => Promise<Verdict>>
> = {
  "public-key": verifyPublicKey,
  mac: verifyMac,
  "key-material-id": (looked, { full }) => verifyKeyMaterialId(looked, full),
}

/**
 * Proves again, for each KMS key in every Region, that it holds the source key's material. A key that fails does not stop
 * the others: the worst of all decides the exit status, 76 where a proof failed.
 */
export async function verifyKeys(tasks: readonly VerifyTask[], options: VerifyOptions): Promise<Verification> {
  const rows: VerifyRow[] = []
  const exits: ExitName[] = []
  for (const task of tasks) {
    for (const { row, exit } of await verifyEntry(task, options)) {
      rows.push(row)
      exits.push(exit)
    }
  }
  return { rows, exit: worstExit(exits) }
}

interface Judged {
  readonly row: VerifyRow
  readonly exit: ExitName
}

async function verifyEntry({ entry, role, open }: VerifyTask, options: VerifyOptions): Promise<readonly Judged[]> {
  const judged = (region: string, keyArn: string | null, { exit, ...verdict }: Verdict): Judged => ({
    row: { name: entry.name, target: entry.target, region, keyArn, role, ...verdict },
    exit,
  })
  if (entry.keyArn === null || entry.imports.length === 0) {
    const message = "nothing was imported yet: run the same provision again"
    return [judged(entry.region, entry.keyArn, blocked("UNFINISHED", message))]
  }
  const results: Judged[] = []
  for (const { region, keyArn } of keysOf(entry)) {
    try {
      const deps = await open()
      // an import into one Region writes the entry that the next one goes on from
      const latest = (await deps.inventory.get(entry.name, entry.target)) ?? entry
      results.push(
        judged(region, keyArn, await verifyIn(deps, { ...latest, keyArn: entry.keyArn }, { region, keyArn }, options)),
      )
    } catch (error) {
      const known = errorOf(error, entry.name)
      if (!(known instanceof KeyferryError)) throw known
      results.push(
        judged(region, keyArn, {
          ...{ outcome: "failed", reason: known.code, message: known.message, generations: [], use: null },
          exit: known.exit,
        }),
      )
    }
  }
  return results
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
