import { KeyferryError } from "../../core/base/error.js"
import type { InventoryEntry } from "../../core/records/inventory.js"
import { wrapCandidates } from "../../core/key/negotiation.js"
import { type StrayObject, identityOf, labelOf, newSourceKeyId, type SourceKey } from "../../core/key/source-key.js"
import { refuseWrite } from "../../core/token/write-protection.js"
import type { AdoptDeps, AdoptRequest } from "./request.js"
import { bindAdopted, type BoundKey, lookAtKmsKey } from "./kms-key.js"
import { judgeAdopted } from "./judgement.js"
import { ensureCustodyKey } from "../custody/custody-key.js"
import { seal } from "../custody/seal.js"
import { refuseCustody, refuseCustodyByPolicy } from "../custody/policy.js"
import { chooseTested } from "../source-key/choose.js"
import { record } from "../record.js"

export interface AdoptedKey extends SourceKey {
  readonly outcome: "done" | "nothing"
  readonly name: string
  readonly origin: "adopted"
  /** Under which CKA_ID and CKA_LABEL it was found; null where an earlier run adopted it. */
  readonly was: Pick<SourceKey, "id" | "label"> | null
  /** What its attributes say of its past, in words. */
  readonly judgement: readonly string[]
  readonly kmsKey: BoundKey | null
}

/**
 * Takes a key that is in the token under a name. Everything is judged and refused before anything is changed: its
 * attributes, whether the token can carry it, whether the KMS key is of its kind and not another's. What is left is to
 * give it its identity, or for `sealed` to move it into the vault; a run that died is taken up by the same again.
 *
 * @throws ERR_KEY_NOT_FOUND, ERR_KEY_AMBIGUOUS, ERR_KEY_ATTRIBUTES, ERR_NAME_TAKEN, ERR_CUSTODY_REFUSED,
 * ERR_NO_USABLE_ALGORITHM, ERR_KMS_KEY_*, ERR_PROOF_FAILED
 */
export async function adoptKey(deps: AdoptDeps, request: AdoptRequest): Promise<AdoptedKey> {
  const { owner, name, custody } = request
  const label = labelOf({ owner, name, generation: 0 })
  const ownEntry = await entryOf(deps, request)
  const tokenKey = await findKey(deps, request, label)
  if (tokenKey === undefined) return await takeAdopted(deps, request, label, ownEntry)
  await refuseTaken(deps, request, label, tokenKey, ownEntry)
  if (custody === "sealed" || tokenKey.label !== label) refuseWrite(deps.token, `the adoption of ${name}`, name)

  const judgement = judgeAdopted(tokenKey, custody)
  refuseCustodyByPolicy(custody, deps.policy)
  const unenforced = await refuseCustody(deps, { custody, keySpec: tokenKey.keySpec, isMade: true })
  const candidates = wrapCandidates(tokenKey.keySpec, request.wrappingKeySpec, "auto", deps.policy)
  const { capability, why } = await chooseTested(deps.token, candidates)
  deps.progress.step(`can be carried to KMS by ${capability.wrappingAlgorithm}: ${why}`)
  for (const text of judgement) deps.progress.warn(text)

  const id = ownEntry?.source.id ?? (tokenKey.id === "" ? newSourceKeyId() : tokenKey.id)
  const key = { ...tokenKey, id, label }
  const lookedAt = await lookAtKmsKey(deps, request, tokenKey, ownEntry)
  const kmsKey = await bindAdopted(deps, request, key, { kmsKey: lookedAt, known: ownEntry, unenforced })
  const isUnchanged = custody !== "sealed" && tokenKey.id === id && tokenKey.label === label
  const adopted = isUnchanged ? tokenKey : await take(deps, request, { found: tokenKey, key, unenforced })
  const was = isUnchanged ? null : { id: tokenKey.id, label: tokenKey.label }
  const outcome = isUnchanged && (ownEntry !== undefined) === (kmsKey !== null) ? "nothing" : "done"
  return { outcome, name, origin: "adopted", was, judgement, ...adopted, kmsKey }
}

interface Taken {
  readonly found: SourceKey
  /** With the identity that it is to have. */
  readonly key: SourceKey
  readonly unenforced: string | null
}

async function take(
  deps: AdoptDeps,
  { owner, name, custody }: AdoptRequest,
  { found: tokenKey, key, unenforced }: Taken,
): Promise<SourceKey> {
  const identity = { owner, name, generation: 0, id: key.id, label: key.label }
  const { local, alwaysSensitive } = tokenKey.attributes
  const facts = {
    custody,
    was: tokenKey.label,
    wasId: tokenKey.id,
    keySpec: tokenKey.keySpec,
    local,
    alwaysSensitive,
    kcv: tokenKey.kcv,
  }
  const step = { key: { owner, name, source: identity }, token: deps.token.info }
  await record(deps, "source.adopted", { ...step, facts: { step: "intended", ...facts } })
  let adopted: SourceKey
  if (custody === "sealed") {
    const custodyKey = await ensureCustodyKey(deps, owner)
    await seal(deps, { object: tokenKey, identity, origin: "adopted", custodyKey, unenforced })
    adopted = { ...key, custody }
  } else {
    adopted = await deps.token.relabel(tokenKey, { id: key.id, label: key.label })
  }
  await record(deps, "source.adopted", { ...step, facts: { step: "done", ...facts } })
  return adopted
}

/** The key as it was, or with the identity that an earlier run gave it; undefined where neither is in the token. */
async function findKey(deps: AdoptDeps, { name, by }: AdoptRequest, label: string): Promise<SourceKey | undefined> {
  const keys = await deps.token.findKeys(by)
  const [key, second] = keys
  if (second !== undefined) {
    throw new KeyferryError(
      "ERR_KEY_AMBIGUOUS",
      `several keys of the token have the ${by.id === undefined ? `label ${by.label ?? ""}` : `ID ${by.id}`}`,
      {
        key: name,
        hint: `give both --label and --id: ${keys.map((key) => `${key.label} (${key.id})`).join(", ")}`,
      },
    )
  }
  const identity = key === undefined ? undefined : identityOf(key.label)
  if (key === undefined || identity === undefined || key.label === label) return key
  throw new KeyferryError("ERR_NAME_TAKEN", `that key is keyferry's ${identity.name} of ${identity.owner} already`, {
    key: key.label,
  })
}

/** What an earlier run came to the end with: the key is no longer where it was, and has its name. */
async function takeAdopted(
  deps: AdoptDeps,
  request: AdoptRequest,
  label: string,
  entry: InventoryEntry | undefined,
): Promise<AdoptedKey> {
  const { owner, name, by } = request
  const sealed = (await deps.vault.list({ owner, name })).sealed.find(
    (material) => material.label === label && material.provenance.origin === "adopted",
  )
  const [object] = await deps.token.findSourceKeys({ label })
  const isSame = ({ id }: { readonly id: string }): boolean => id === by.id || id === entry?.source.id
  const { attributes = null, kcv = null } = sealed?.provenance ?? {}
  const adopted: SourceKey | undefined =
    object !== undefined && isSame(object)
      ? object
      : sealed !== undefined && attributes !== null
        ? {
            id: sealed.id,
            label,
            keySpec: sealed.keySpec,
            custody: "sealed",
            attributes,
            kcv,
            publicKeyFingerprint: null,
          }
        : undefined
  if (adopted !== undefined) {
    const kmsKey =
      entry === undefined
        ? null
        : await bindAdopted(deps, request, adopted, { kmsKey: null, known: entry, unenforced: entry.unenforced })
    return { outcome: "nothing", name, origin: "adopted", was: null, judgement: [], ...adopted, kmsKey }
  }
  const identity = [by.label === undefined ? [] : [`label ${by.label}`], by.id === undefined ? [] : [`ID ${by.id}`]]
    .flat()
    .join(" and ")
  const hint =
    object === undefined
      ? {}
      : { hint: `the token has a source key ${label} (${object.id}): perhaps an earlier run adopted it` }
  const [odd] = await deps.token.findOddKeys(by)
  if (odd !== undefined) {
    throw new KeyferryError(
      "ERR_KEY_ATTRIBUTES",
      `the token's key with the ${identity} cannot be adopted: it is ${odd.reason}`,
      {
        key: name,
        hint: oddKeyHint(odd, deps.token.info.label),
      },
    )
  }
  throw new KeyferryError("ERR_KEY_NOT_FOUND", `the token has no key of a KMS key spec with the ${identity}`, {
    key: name,
    ...hint,
  })
}

function oddKeyHint({ id, label }: StrayObject, tokenLabel: string): string {
  return id === ""
    ? `give it a CKA_ID with the vendor's tool (pkcs11-tool: --set-id), then run the same again; its label is ${label}`
    : `look at the objects of token "${tokenLabel}" with this label with the vendor's tool (\`pkcs11-tool --list-objects\`)`
}

async function entryOf(
  { inventory }: AdoptDeps,
  { owner, name, kmsKey }: AdoptRequest,
): Promise<InventoryEntry | undefined> {
  const entry = kmsKey === null ? undefined : await inventory.get(name, kmsKey.target)
  return entry?.owner === owner ? entry : undefined
}

/** A name stands for one key: refused where the token, the vault or the inventory knows another by it. */
async function refuseTaken(
  deps: AdoptDeps,
  { owner, name }: AdoptRequest,
  label: string,
  tokenKey: SourceKey,
  ownEntry: InventoryEntry | undefined,
): Promise<void> {
  const refuse = (holder: string): never => {
    throw new KeyferryError("ERR_NAME_TAKEN", `the name ${name} stands for ${holder} already`, { key: name })
  }
  const { keys, strays } = await deps.token.search({ label })
  const namesake = [...keys, ...strays].find(({ id }) => id !== tokenKey.id)
  if (namesake !== undefined) refuse(`the token's key ${label} (${namesake.id})`)
  const sealed = (await deps.vault.list({ owner, name })).sealed.find(
    (material) => material.provenance.origin !== "adopted" || material.keySpec !== tokenKey.keySpec,
  )
  if (sealed !== undefined) refuse(`the sealed key ${sealed.label} (${sealed.id})`)
  const entry = (await deps.inventory.list(name)).find(
    (candidate) => candidate.owner === owner && candidate.source.id !== (ownEntry?.source.id ?? tokenKey.id),
  )
  if (entry !== undefined) refuse(entry.keyArn ?? `a key that was begun (${entry.target})`)
}
