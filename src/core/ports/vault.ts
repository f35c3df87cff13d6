import type { SourceKeyIdentity } from "../key/source-key.js"
import type { DamagedMaterial, SealedMaterial } from "../records/sealed-material.js"

/** A file of the vault: what it holds, or what is wrong with it. */
export type Reading = { readonly sealed: SealedMaterial } | { readonly damaged: DamagedMaterial }

/** Sealed key material: one file a source key, whole or not there, with its own digest. */
export interface Vault {
  /**
   * By CKA_ID, hex; where it is said whose it is, other files are looked through only if it is not there.
   *
   * @throws ERR_VAULT_DAMAGED where the file is not what was written
   */
  get(id: string, identity?: SourceKeyIdentity): Promise<SealedMaterial | undefined>
  /** Of one name of an owner, or all; what is damaged is told apart. */
  list(holder?: {
    readonly owner: string
    readonly name: string
  }): Promise<{ readonly sealed: readonly SealedMaterial[]; readonly damaged: readonly DamagedMaterial[] }>
  /** The same, one after the other: for who keeps little of each. */
  all(): AsyncIterable<Reading>
  /** Durable when it returns: temporary name, fsync, rename, fsync of the folder. Throws ERR_STATE_WRITE. */
  put(sealed: SealedMaterial): Promise<void>
  remove(id: string): Promise<void>
}
