import type { Custody } from "../../core/key/custody.js"
import { KeyferryError } from "../../core/base/error.js"
import { failedOutcome, type KeyRow, rowOutcome, type RowOutcome } from "../../core/plan/row.js"
import type { DamagedMaterial, SealedMaterial } from "../../core/records/sealed-material.js"
import { identityOf, type SourceKey } from "../../core/key/source-key.js"

/** What became of one source key; custody concerns no target and no KMS key, so those fields are null. */
export interface ResealRow extends KeyRow {
  readonly target: null
  readonly keyArn: null
  readonly generation: number | null
  readonly sourceKeyId: string | null
  /** As it is now. */
  readonly custody: Custody | null
  /** Label of the custody key that it is sealed under now; null for what is not sealed. */
  readonly custodyKey: string | null
}

interface SourceKeyFacts extends Pick<ResealRow, "name" | "generation" | "custody" | "custodyKey"> {
  readonly id: string | null
}

/** One row for each way in which a key can end. */
export const resealRow = {
  resealed: (before: SealedMaterial, after: SealedMaterial): ResealRow => {
    const message = `sealed under ${after.custodyKey.label}, before under ${before.custodyKey.label}`
    return row(sealedFacts(after), rowOutcome("done", "RESEALED", message))
  },
  sealed: (sealed: SealedMaterial): ResealRow => {
    const message = `in the vault under ${sealed.custodyKey.label}; its token object is destroyed`
    return row(sealedFacts(sealed), rowOutcome("done", "SEALED", message))
  },
  already: (sealed: SealedMaterial): ResealRow =>
    row(sealedFacts(sealed), rowOutcome("nothing", "ALREADY", `sealed under ${sealed.custodyKey.label} already`)),
  kept: (key: SourceKey): ResealRow => {
    const message = `custody ${key.custody}: not in the vault, and not asked to be`
    return row(objectFacts(key), rowOutcome("nothing", "KEPT", message))
  },
  otherToken: (sealed: SealedMaterial): ResealRow => {
    const message = `sealed in another token, "${sealed.token.label}" (${sealed.token.serial})`
    return row(sealedFacts(sealed), rowOutcome("nothing", "OTHER_TOKEN", message))
  },
  damaged: ({ path, name, id, reason }: DamagedMaterial): ResealRow =>
    failedRow(
      { name: name ?? path, generation: null, id, custody: "sealed", custodyKey: null },
      new KeyferryError("ERR_VAULT_DAMAGED", `${path} is damaged: ${reason}`),
    ),
  failed: failedRow,
}

/** The row of what an error was thrown for; what is no failure of ours to name is thrown on. */
function failedRow(key: SourceKeyFacts, error: unknown): ResealRow {
  const isRefused = error instanceof KeyferryError && error.code === "ERR_CUSTODY_REFUSED"
  return row(key, failedOutcome(error, isRefused ? "blocked" : "failed"))
}

function row({ name, generation, id, custody, custodyKey }: SourceKeyFacts, outcome: RowOutcome): ResealRow {
  const kmsKey = { target: null, keyArn: null, replaced: false } as const
  return { name, ...kmsKey, generation, sourceKeyId: id, custody, custodyKey, ...outcome }
}

const sealedFacts = ({ name, generation, id, custodyKey }: SealedMaterial): SourceKeyFacts => ({
  name,
  generation,
  id,
  custody: "sealed",
  custodyKey: custodyKey.label,
})

function objectFacts({ id, label, custody }: SourceKey): SourceKeyFacts {
  const { name, generation } = identityOf(label) ?? { name: label, generation: null }
  return { name, generation, id, custody, custodyKey: null }
}
