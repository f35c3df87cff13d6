import { KeyferryError } from "../../core/base/error.js"
import type { CustodyKey, Provenance, SealedMaterial } from "../../core/records/sealed-material.js"
import type { SourceKey, SourceKeyIdentity } from "../../core/key/source-key.js"
import { sha256 } from "../../core/key/wrapping-key.js"
import type { CustodyDeps } from "./custody-key.js"
import type { Deps } from "../deps.js"
import { record } from "../record.js"
import { provenanceOf } from "./seal-key.js"
import { assertSame, isEqual } from "./same-material.js"

/** What works on the token and the vault apart: `token` is the token itself, not the one that hides the vault. */
export type VaultDeps = CustodyDeps & Pick<Deps, "inventory" | "policy">

export interface SealStep {
  /** The object as it is in the token. */
  readonly object: SourceKey
  /** What it is, or is to be, called in the vault. */
  readonly identity: SourceKeyIdentity & { readonly id: string; readonly label: string }
  readonly origin: Provenance["origin"]
  readonly custodyKey: Pick<CustodyKey, "id" | "label" | "kcv">
  /** What the token does not enforce of it, in words; null where it enforces all. */
  readonly unenforced: string | null
}

/**
 * Moves a token object into the vault: sealed, seen to open to the same key, durable, and only then destroyed. At every
 * instant the object or the file is whole; run again it goes on where it stopped.
 *
 * @throws ERR_SEALED_UNREADABLE, ERR_NAME_TAKEN where the vault has another key of that ID; whatever Token and Vault throw
 */
export async function sealObject(deps: VaultDeps, step: SealStep): Promise<SealedMaterial> {
  const { object, identity } = step
  const sealed = (await takeSealed(deps, step)) ?? (await sealNew(deps, step))
  const { owner, name } = identity
  const destroyed = { key: { owner, name, source: identity }, token: deps.token.info }
  const facts = { object: object.id, objectLabel: object.label, custody: "token", reason: "sealed" }
  await record(deps, "source.destroyed", { ...destroyed, facts: { ...facts, step: "intended" } })
  await deps.token.destroySourceKey({ id: object.id, label: object.label })
  await record(deps, "source.destroyed", { ...destroyed, facts: { ...facts, step: "done" } })
  return sealed
}

/** What an earlier run sealed of this object; undefined if there is none. */
async function takeSealed(deps: VaultDeps, { object, identity }: SealStep): Promise<SealedMaterial | undefined> {
  const found = await deps.vault.get(identity.id)
  if (found === undefined) return undefined
  const now = await deps.token.seal(object, found.custodyKey)
  if (!isEqual(now.ciphertext, found.ciphertext)) {
    throw new KeyferryError("ERR_NAME_TAKEN", `the vault holds another key as ${found.label} (${found.id})`, {
      key: found.label,
      hint: "nothing was changed: the token's object and the vault's file have one ID and are different keys",
    })
  }
  await assertSame(deps.token, found, found)
  return found
}

async function sealNew(deps: VaultDeps, step: SealStep): Promise<SealedMaterial> {
  const { object, identity, custodyKey, origin, unenforced } = step
  const provenance = await provenanceOf(deps, object, origin)
  const sealed: SealedMaterial = {
    ...{ owner: identity.owner, name: identity.name, generation: identity.generation },
    ...{ id: identity.id, label: identity.label, keySpec: object.keySpec },
    ...(await deps.token.seal(object, custodyKey)),
    custodyKey: { id: custodyKey.id, label: custodyKey.label, kcv: custodyKey.kcv },
    token: deps.token.info,
    sealedAt: provenance.at,
    provenance,
    unenforced,
  }
  await assertSame(deps.token, sealed, sealed)
  await deps.vault.put(sealed)
  await record(deps, "source.sealed", {
    key: { owner: identity.owner, name: identity.name, source: identity },
    token: deps.token.info,
    facts: { ...sealFacts(sealed), origin, under: custodyKey.label },
  })
  return sealed
}

/** What the custody log says of sealed material. */
export function sealFacts({ keySpec, custodyKey, mechanism, ciphertext, unenforced }: SealedMaterial) {
  const facts = { keySpec, custodyKey: custodyKey.id, mechanism, ciphertextDigest: sha256(ciphertext) }
  return { ...facts, unenforced: unenforced ?? undefined }
}
