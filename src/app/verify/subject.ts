import type { SourceKeyRecord, MadeEntry } from "../../core/records/inventory.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import type { Kms } from "../../core/ports/kms.js"
import type { CustodialToken } from "../../core/ports/custodial-token.js"
import type { SourceKey } from "../../core/key/source-key.js"
import type { Deps } from "../deps.js"
import { blocked, type Verdict } from "./row.js"

/** What verifying works with; without a token only what needs none is verified. */
export type VerifyDeps = Omit<Deps, "token" | "kms"> & { readonly token: CustodialToken | null }

/** One enabled KMS key of an entry, in one Region, that is to be proven. */
export interface ProofSubject {
  readonly deps: VerifyDeps
  readonly kms: Kms
  readonly entry: MadeEntry
  /** Of the Region: the entry's own, or a replica's. */
  readonly keyArn: string
  readonly description: KeyDescription
}

/** The source key as the token or the vault has it; null where no token is given, or it has it no longer. */
export async function sourceKeyOf({ deps }: ProofSubject, { id }: SourceKeyRecord): Promise<SourceKey | null> {
  if (deps.token === null) return null
  return (await deps.token.findSourceKeys({ id }))[0] ?? null
}

export function sourceMissing({ deps, entry }: ProofSubject): Verdict {
  return deps.token === null
    ? blocked("TOKEN_NEEDED", `${entry.keySpec} keys are proven against the token, and none is given`, {
        exit: "USAGE",
      })
    : blocked("SOURCE_MISSING", `the token ${deps.token.info.label} has not the source key of ${entry.name}`)
}
