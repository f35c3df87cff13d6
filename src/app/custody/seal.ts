import { KeyferryError } from "../../core/base/error.js"
import { isAsymmetric } from "../../core/key/key-spec.js"
import type { SourceKey, SourceKeyIdentity } from "../../core/key/source-key.js"
import { sha256 } from "../../core/key/wrapping-key.js"
import type { CustodyKey, Provenance, SealedMaterial } from "../../core/records/sealed-material.js"
import type { Deps } from "../deps.js"
import { record } from "../record.js"
import type { CustodyDeps } from "./custody-key.js"
import { assertSame, isEqual, type Original, sealedAgain } from "./same-material.js"

/** What works on the token itself and the vault apart. */
export type VaultDeps = CustodyDeps & Pick<Deps, "inventory" | "policy">

const LEFT_IN_TOKEN =
  "leave it in custody token, where it is wrapped as it is; or `keyferry replace NAME` makes a new key, which this token seals"

type CustodyKeyId = Pick<CustodyKey, "id" | "label" | "kcv">

export interface SealStep {
  /** The object as it is in the token. */
  readonly object: SourceKey
  /** What it is, or is to be, called in the vault. */
  readonly identity: SourceKeyIdentity & { readonly id: string; readonly label: string }
  readonly origin: Provenance["origin"]
  readonly custodyKey: CustodyKeyId
  /** What the token does not enforce of it, in words; null where it enforces all. */
  readonly unenforced: string | null
}

/**
 * Moves an object of the token into the vault: sealed, seen to open to the same key, durable, recorded, and only then
 * destroyed. At every instant the object or the file is whole; run again it goes on where it stopped.
 *
 * @throws ERR_SEALED_UNREADABLE, ERR_NAME_TAKEN where the vault has another key of that ID; whatever Token and Vault throw
 */
export async function seal(deps: CustodyDeps, step: SealStep): Promise<SealedMaterial> {
  const sealed = (await takeSealed(deps, step)) ?? (await sealNew(deps, step))
  await destroyObject(deps, step)
  return sealed
}

/**
 * Replaces a vault file by the same key under another custody key, once that was seen to open to the same key.
 *
 * @throws ERR_CUSTODY_KEY_MISSING, ERR_SEALED_UNREADABLE, ERR_STATE_WRITE
 */
export async function sealAnew(
  deps: CustodyDeps,
  before: SealedMaterial,
  { custodyKey, unenforced }: Pick<SealStep, "custodyKey" | "unenforced">,
): Promise<SealedMaterial> {
  const bytes = await sealedAgain(deps.token, before, custodyKey)
  const sealed: SealedMaterial = {
    ...before,
    ...bytes,
    custodyKey: idOf(custodyKey),
    token: deps.token.info,
    sealedAt: deps.clock.now().toISOString(),
    unenforced,
  }
  await keep(deps, sealed, before)
  const { owner, name } = before
  await record(deps, "source.resealed", {
    key: { owner, name, source: before },
    token: deps.token.info,
    facts: {
      ...sealFacts(sealed),
      from: before.custodyKey.id,
      under: custodyKey.label,
      before: before.custodyKey.label,
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

/** What an earlier run sealed of this object; undefined if there is none. */
async function takeSealed(deps: CustodyDeps, { object, identity }: SealStep): Promise<SealedMaterial | undefined> {
  const sealed = await deps.vault.get(identity.id, identity)
  if (sealed === undefined) return undefined
  const { ciphertext } = await deps.token.seal(object, sealed.custodyKey)
  if (!isEqual(ciphertext, sealed.ciphertext)) {
    throw new KeyferryError("ERR_NAME_TAKEN", `the vault holds another key as ${sealed.label} (${sealed.id})`, {
      key: sealed.label,
      hint: "nothing was changed: the token's object and the vault's file have one ID and are different keys",
    })
  }
  await assertSame(deps.token, sealed, sealed)
  return sealed
}

async function sealNew(deps: CustodyDeps, step: SealStep): Promise<SealedMaterial> {
  const { identity, custodyKey, origin } = step
  const { owner, name } = identity
  const sealed = await materialOf(deps, step)
  // the object is still there, and leaves the token as it is
  const shortHint = step.object.custody === "token" ? { shortHint: LEFT_IN_TOKEN } : {}
  await keep(deps, sealed, { ...sealed, ...shortHint })
  await record(deps, "source.sealed", {
    key: { owner, name, source: identity },
    token: deps.token.info,
    facts: { ...sealFacts(sealed), origin, under: custodyKey.label },
  })
  return sealed
}

/** Whether the object, sealed, opens to the same key to the last byte; nothing of it is kept. */
export async function opensToItself(deps: CustodyDeps, step: SealStep): Promise<boolean> {
  const sealed = await materialOf(deps, step)
  return isEqual((await sealedAgain(deps.token, sealed, sealed.custodyKey)).ciphertext, sealed.ciphertext)
}

async function materialOf(deps: CustodyDeps, step: SealStep): Promise<SealedMaterial> {
  const { object, identity, custodyKey, origin, unenforced } = step
  const { owner, name, generation, id, label } = identity
  const provenance = await provenanceOf(deps, object, origin)
  const { ciphertext, mechanism } = await deps.token.seal(object, custodyKey)
  return {
    owner,
    name,
    generation,
    id,
    label,
    keySpec: object.keySpec,
    ciphertext,
    mechanism,
    custodyKey: idOf(custodyKey),
    token: deps.token.info,
    sealedAt: provenance.at,
    provenance,
    unenforced,
  }
}

/** What unsealing, or the end of the object, would forget. */
async function provenanceOf(
  { token, clock }: CustodyDeps,
  object: SourceKey,
  origin: Provenance["origin"],
): Promise<Provenance> {
  return {
    origin,
    at: clock.now().toISOString(),
    attributes: object.attributes,
    kcv: object.kcv,
    publicKey: isAsymmetric(object.keySpec) ? await token.publicKey(object) : null,
  }
}

/** Nothing is in the vault that was not seen to open; what is there is durable (invariant I5). */
async function keep({ token, vault }: CustodyDeps, sealed: SealedMaterial, reference: Original): Promise<void> {
  await assertSame(token, sealed, reference)
  await vault.put(sealed)
}

/** A session object would have died anyway: that of a token object alone is an event. */
async function destroyObject(deps: CustodyDeps, { object, identity }: SealStep): Promise<void> {
  const { id, label, custody } = object
  if (custody === "session") {
    // it is known to the token by what it was given as
    await deps.token.destroySourceKey(object)
    return
  }
  const { owner, name } = identity
  const destroyed = { key: { owner, name, source: identity }, token: deps.token.info }
  const facts = { object: id, objectLabel: label, custody: "token", reason: "sealed" }
  await record(deps, "source.destroyed", { ...destroyed, facts: { ...facts, step: "intended" } })
  await deps.token.destroySourceKey({ id, label })
  await record(deps, "source.destroyed", { ...destroyed, facts: { ...facts, step: "done" } })
}

/** What the custody log says of sealed material. */
function sealFacts({ keySpec, custodyKey, mechanism, ciphertext, unenforced }: SealedMaterial) {
  const facts = { keySpec, custodyKey: custodyKey.id, mechanism, ciphertextDigest: sha256(ciphertext) }
  return { ...facts, unenforced: unenforced ?? undefined }
}

const idOf = ({ id, label, kcv }: CustodyKeyId): SealedMaterial["custodyKey"] => ({ id, label, kcv })
