import { DEFAULT_EXPIRES_IN } from "../../core/manifest/key-settings.js"
import { randomUUID } from "node:crypto"
import { KeyferryError } from "../../core/base/error.js"
import { beginEntry, type InventoryEntry, type Proof, withNested } from "../../core/records/inventory.js"
import { KEY_SPECS, type KeyUsage } from "../../core/key/key-spec.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import { phaseOf } from "../../core/key/key-state.js"
import type { Kms } from "../../core/ports/kms.js"
import type { SourceKey } from "../../core/key/source-key.js"
import { accountOf, refuseOtherAccount } from "../kms-key/account.js"
import type { AdoptDeps, AdoptRequest } from "./request.js"
import { assertTakesImport, resolveKey } from "../kms-key/find.js"
import { proveAgainstToken } from "../import/prove.js"
import { refuseUnknownKey } from "../kms-key/unknown-keys.js"
import { identityTags, TAGS } from "../kms-key/tags.js"
import { record } from "../record.js"

/** The KMS key of an adopted key, and how far it is seen that it holds the same material. */
export interface BoundKey {
  readonly target: string
  readonly keyArn: string
  readonly keyState: string
  /** Null where KMS holds no material yet. */
  readonly proof: Proof | null
  /** In words: what is to be done next. */
  readonly next: string
}

export interface LookedAt {
  readonly key: KeyDescription
  readonly proof: Proof | null
}

/**
 * Looks at the KMS key that is to be bound, and refuses what cannot be: another origin, spec or owner, several
 * generations, other key material.
 *
 * @throws ERR_KMS_KEY_*, ERR_NAME_TAKEN, ERR_POLICY_REFUSED, ERR_PROOF_FAILED
 */
export async function lookAtKmsKey(
  deps: AdoptDeps,
  request: AdoptRequest,
  tokenKey: SourceKey,
  entry: InventoryEntry | undefined,
): Promise<LookedAt | null> {
  if (request.kmsKey === null) return null
  const kms = kmsOf(deps)
  const key = await resolveKey(kms, request.kmsKey.keyId)
  assertTakesImport(key, { keySpec: tokenKey.keySpec, pendingOnly: false })
  await refuseClaimed(deps, kms, request, key.keyArn)
  if (entry === undefined) await refuseUnknownKey({ ...deps, kms }, request, [key.keyArn])
  await refuseOtherAccount(deps, { ...request, target: request.kmsKey.target }, () =>
    Promise.resolve(accountOf(key.keyArn)),
  )
  if (entry?.keyArn != null && entry.keyArn !== key.keyArn) {
    throw new KeyferryError(
      "ERR_NAME_TAKEN",
      `the name ${request.name} stands for ${entry.keyArn}, not for ${key.keyArn}`,
    )
  }
  if (phaseOf(key) === "empty") return { key, proof: null }
  await refuseRotated(kms, key)
  const proof = await proveAgainstToken({ ...deps, kms }, tokenKey, key.keyArn)
  if (proof.result !== "failed") return { key, proof }
  throw new KeyferryError(
    "ERR_PROOF_FAILED",
    `${key.keyArn} holds other key material than the token's key (proof by ${proof.kind})`,
    {
      key: key.keyArn,
      hint: "nothing was changed: name the KMS key that belongs to this key, or the other way round",
    },
  )
}

/**
 * Records the KMS key, then says on it whose it is. There is no import of ours yet: the next one is of existing material,
 * which KMS takes only if it is the same.
 */
export async function bindAdopted(
  deps: AdoptDeps,
  request: AdoptRequest,
  source: SourceKey,
  binding: {
    readonly kmsKey: LookedAt | null
    readonly known: InventoryEntry | undefined
    readonly unenforced: string | null
  },
): Promise<BoundKey | null> {
  const { known, kmsKey } = binding
  const key = kmsKey?.key ?? (known?.keyArn == null ? undefined : await kmsOf(deps).describeKey(known.keyArn))
  if (request.kmsKey === null || key === undefined) return null
  const entry = known ?? newEntry(deps, request, source, key, binding.unenforced)
  if (known === undefined) await deps.inventory.put(entry)
  await kmsOf(deps).tagResource(key.keyArn, identityTags(entry))
  if (known === undefined) {
    const { owner, name, target } = entry
    await record(deps, "kms-key.taken", { key: { owner, name, target }, keyArn: key.keyArn })
  }
  const { keyArn, keyState } = key
  return {
    target: entry.target,
    keyArn,
    keyState,
    proof: kmsKey?.proof ?? null,
    next: nextOf(keyState, kmsKey?.proof ?? null),
  }
}

function nextOf(keyState: string, proof: Proof | null): string {
  const run = "the same flags to `keyferry provision --key-id`, or `keyferry apply`,"
  if (phaseOf({ keyState }) === "empty") return `${run} import it`
  if (proof?.result === "proven") return `${run} import it again, which gives it an expiry that keyferry keeps`
  return `${run} import it again: KMS takes it only if it is the same material, which is the proof`
}

function newEntry(
  deps: AdoptDeps,
  { owner, name, custody, kmsKey, wrappingKeySpec }: AdoptRequest,
  { id, label, keySpec, attributes, kcv, publicKeyFingerprint }: SourceKey,
  key: KeyDescription,
  unenforced: string | null,
): InventoryEntry {
  const target = kmsKey?.target ?? ""
  const identity = {
    owner,
    name,
    target,
    region: kmsOf(deps).region,
    keySpec,
    custody,
    alias: null,
    multiRegion: key.multiRegion,
  }
  // KMS showed that it is a usage of the key spec by having made the key
  const keyUsage = key.keyUsage as KeyUsage
  const newEntry = beginEntry({ ...identity, keyUsage }, { id, label }, randomUUID(), deps.clock.now())
  const never = key.expirationModel === "KEY_MATERIAL_DOES_NOT_EXPIRE"
  return {
    ...newEntry,
    unenforced,
    keyArn: key.keyArn,
    token: deps.token.info,
    terms: { expiresIn: never ? "never" : DEFAULT_EXPIRES_IN, wrappingAlgorithm: "auto", wrappingKeySpec },
    source: { ...newEntry.source, attributes, kcv, publicKeyFingerprint },
  }
}

/** A KMS key that another name, or another owner, has is not taken from it. */
async function refuseClaimed(deps: AdoptDeps, kms: Kms, { owner, name }: AdoptRequest, keyArn: string): Promise<void> {
  const holder = (await deps.inventory.list())
    .flatMap(withNested)
    .find((entry) => entry.keyArn === keyArn && (entry.name !== name || entry.owner !== owner))
  if (holder !== undefined) throw claimed(keyArn, holder.owner, holder.name)
  const tags = await kms.listResourceTags(keyArn)
  const [tagOwner = owner, tagName = name] = [tags[TAGS.owner], tags[TAGS.name]]
  if (tagOwner !== owner || tagName !== name) throw claimed(keyArn, tagOwner, tagName)
}

function claimed(keyArn: string, owner: string, name: string): KeyferryError {
  return new KeyferryError("ERR_NAME_TAKEN", `${keyArn} is the KMS key of ${name}, owner ${owner}`, {
    key: keyArn,
    hint: "name another --key-id, or take it out of where it is named now (its tags keyferry:owner and keyferry:name)",
  })
}

/** One source key is one generation: older ones would be lost at their expiry. */
async function refuseRotated(kms: Kms, { keyArn, keySpec }: KeyDescription): Promise<void> {
  if (!(keySpec in KEY_SPECS) || keySpec !== "SYMMETRIC_DEFAULT") return
  const generations = await kms.listKeyRotations(keyArn)
  if (generations.length <= 1) return
  throw new KeyferryError(
    "ERR_KMS_KEY_STATE",
    `${keyArn} has ${generations.length} generations of key material, and one key is adopted`,
    {
      key: keyArn,
      hint: "a KMS key that was rotated needs every generation's key: import those where they are kept",
    },
  )
}

function kmsOf({ kms }: AdoptDeps): Kms {
  if (kms !== null) return kms
  throw new KeyferryError("ERR_USAGE", "--key-id needs KMS", { hint: "give --region" })
}
