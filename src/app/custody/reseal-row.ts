import type { Custody } from "../../core/key/custody.js"
import { ERRORS, type ErrorCode, KeyferryError } from "../../core/base/error.js"
import type { ExitName } from "../../core/base/exit-code.js"
import type { CustodyKey, DamagedMaterial, SealedMaterial } from "../../core/records/sealed-material.js"
import { identityOf, type SourceKey } from "../../core/key/source-key.js"

/** What became of one source key; custody concerns no target, so those fields are null. */
export interface ResealRow {
  readonly name: string
  readonly target: null
  readonly keyArn: null
  readonly generation: number | null
  readonly sourceKeyId: string | null
  /** As it is now. */
  readonly custody: Custody | null
  /** Label of the custody key that it is sealed under now; null for what is not sealed. */
  readonly custodyKey: string | null
  readonly outcome: "done" | "nothing" | "blocked" | "failed"
  /** The code of the error where it is blocked or failed. */
  readonly reason: "resealed" | "sealed" | "already" | "kept" | "elsewhere" | ErrorCode
  readonly message: string
  readonly hint: string | null
}

export interface Resealed {
  readonly keys: readonly ResealRow[]
  readonly summary: Readonly<Record<ResealRow["outcome"] | "planned", number>>
  /** In force now; null where nothing is sealed. */
  readonly custodyKey: Pick<CustodyKey, "id" | "label" | "kcv"> | null
}

type Known = Pick<ResealRow, "name" | "generation" | "custody" | "custodyKey"> & { readonly id: string | null }

/** One row for each way in which a key can end. */
export const rowOf = {
  resealed: (old: SealedMaterial, now: SealedMaterial): ResealRow =>
    row(known(now), "done", "resealed", `sealed under ${now.custodyKey.label}, before under ${old.custodyKey.label}`),
  sealed: (sealed: SealedMaterial): ResealRow =>
    row(
      known(sealed),
      "done",
      "sealed",
      `in the vault under ${sealed.custodyKey.label}; its token object is destroyed`,
    ),
  already: (sealed: SealedMaterial): ResealRow =>
    row(known(sealed), "nothing", "already", `sealed under ${sealed.custodyKey.label} already`),
  kept: (key: SourceKey): ResealRow =>
    row(knownObject(key), "nothing", "kept", `custody ${key.custody}: not in the vault, and not asked to be`),
  elsewhere: (sealed: SealedMaterial): ResealRow =>
    row(
      known(sealed),
      "nothing",
      "elsewhere",
      `sealed in another token, "${sealed.token.label}" (${sealed.token.serial})`,
    ),
  damaged: ({ path, name, id, reason }: DamagedMaterial): ResealRow =>
    failure(
      { name: name ?? path, generation: null, id, custody: "sealed", custodyKey: null },
      new KeyferryError("ERR_VAULT_DAMAGED", `${path} is damaged: ${reason}`),
    ),
  failed: failure,
}

/** The row of what an error was thrown for; what is no failure of ours to name is thrown on. */
function failure(of: Known, error: unknown): ResealRow {
  if (!(error instanceof KeyferryError)) throw error
  const causes = error.causes.map(({ code, message }) => (message === "" ? code : `${code}: ${message}`))
  const message = [error.message, ...causes].join("; ")
  const outcome = error.code === "ERR_CUSTODY_REFUSED" ? "blocked" : "failed"
  return { ...row(of, outcome, error.code, message), hint: error.hint }
}

/** How many rows ended how. */
export function summed(keys: readonly ResealRow[], custodyKey: CustodyKey | null): Resealed {
  const summary = { done: 0, nothing: 0, planned: 0, blocked: 0, failed: 0 }
  for (const { outcome } of keys) summary[outcome] += 1
  const { id, label, kcv } = custodyKey ?? { id: "", label: "", kcv: null }
  return { keys, summary, custodyKey: custodyKey === null ? null : { id, label, kcv } }
}

/** The exit status that each row asks for. */
export function exitsOf(keys: readonly ResealRow[]): readonly ExitName[] {
  return keys.map(({ outcome, reason }) =>
    outcome === "blocked" || outcome === "failed" ? ERRORS[reason as ErrorCode].exit : "OK",
  )
}

function row(of: Known, outcome: ResealRow["outcome"], reason: ResealRow["reason"], message: string): ResealRow {
  const { name, generation, id, custody, custodyKey } = of
  const who = { name, target: null, keyArn: null, generation, sourceKeyId: id }
  return { ...who, custody, custodyKey, outcome, reason, message, hint: null }
}

const known = ({ name, generation, id, custodyKey }: SealedMaterial): Known => ({
  ...{ name, generation, id },
  ...{ custody: "sealed", custodyKey: custodyKey.label },
})

function knownObject({ id, label, custody }: SourceKey): Known {
  const { name, generation } = identityOf(label) ?? { name: label, generation: null }
  return { name, generation, id, custody, custodyKey: null }
}
