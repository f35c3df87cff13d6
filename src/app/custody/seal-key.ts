import type { CustodyKey, Provenance, SealedMaterial } from "../../core/records/sealed-material.js"
import type { SourceKey, SourceKeyIdentity } from "../../core/key/source-key.js"
import { isAsymmetric } from "../../core/key/key-spec.js"
import { sha256 } from "../../core/key/wrapping-key.js"
import { KeyferryError } from "../../core/base/error.js"
import type { CustodyDeps } from "./custody-key.js"
import { record } from "../record.js"
import { enforcementOf } from "./policy.js"

/** What to write down of a key that was generated or adopted now, before unsealing forgets it. */
export async function provenanceOf(
  deps: Pick<CustodyDeps, "token" | "clock">,
  key: SourceKey,
  origin: Provenance["origin"],
): Promise<Provenance> {
  return {
    origin,
    at: deps.clock.now().toISOString(),
    attributes: key.attributes,
    kcv: key.kcv,
    publicKey: isAsymmetric(key.keySpec) ? await deps.token.publicKey(key) : null,
  }
}

/**
 * Seals a key that is an object of the token under a custody key, into the vault: durable when it returns. The object
 * stays, for the caller to destroy.
 *
 * @throws ERR_CUSTODY_REFUSED where the token cannot seal its key spec
 */
export async function sealKey(
  deps: CustodyDeps,
  key: SourceKey,
  identity: SourceKeyIdentity,
  custodyKey: CustodyKey,
  provenance: Provenance,
): Promise<SealedMaterial> {
  const { possible, unenforced } = await enforcementOf(deps.token, "sealed", key.keySpec)
  if (!possible) {
    const message = `the token cannot seal ${key.keySpec}: ${unenforced ?? "not probed"}`
    throw new KeyferryError("ERR_CUSTODY_REFUSED", message, { key: key.label })
  }
  const { ciphertext, mechanism } = await deps.token.seal(key, custodyKey)
  const { owner, name, generation } = identity
  const sealed: SealedMaterial = {
    ...{ owner, name, generation, id: key.id, label: key.label, keySpec: key.keySpec, ciphertext, mechanism },
    custodyKey: { id: custodyKey.id, label: custodyKey.label, kcv: custodyKey.kcv },
    ...{ token: deps.token.info, sealedAt: deps.clock.now().toISOString(), provenance, unenforced },
  }
  await deps.vault.put(sealed)
  await record(deps, "source.sealed", {
    key: { owner, name, source: sealed },
    token: deps.token.info,
    facts: {
      keySpec: key.keySpec,
      custodyKey: custodyKey.id,
      mechanism,
      ciphertextDigest: sha256(ciphertext),
      unenforced: unenforced ?? undefined,
    },
  })
  return sealed
}

/** A sealed key as use cases see it: its attributes are those it was made with. */
export function sourceKeyOf({ id, label, keySpec, provenance, unenforced }: SealedMaterial): SourceKey {
  const { attributes, kcv, publicKey } = provenance
  const publicKeyFingerprint = publicKey === null ? null : sha256(publicKey)
  return { id, label, keySpec, custody: "sealed", attributes, kcv, publicKeyFingerprint, unenforced }
}
