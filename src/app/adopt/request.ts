import type { WrappingKeySpec } from "../../core/key/key-spec.js"
import type { Kms } from "../../core/ports/kms.js"
import type { AdoptCustody } from "./judgement.js"
import type { Deps } from "../deps.js"
import type { VaultDeps } from "../custody/seal.js"

export interface AdoptRequest {
  readonly owner: string
  readonly name: string
  /** CKA_ID in hex, or CKA_LABEL, of the key in the token. */
  readonly by: { readonly id?: string; readonly label?: string }
  readonly custody: AdoptCustody
  readonly wrappingKeySpec: WrappingKeySpec
  /** An EXTERNAL KMS key that is to have its material, or has it; null for none yet. */
  readonly kmsKey: { readonly keyId: string; readonly target: string } | null
}

export type AdoptDeps = VaultDeps & Pick<Deps, "sleep"> & { readonly kms: Kms | null }
