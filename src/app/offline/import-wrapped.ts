import { partitionOf, takenIn } from "../../core/key/partition.js"
import { randomUUID } from "node:crypto"
import type { Custody } from "../../core/key/custody.js"
import { errorAfter, KeyferryError } from "../../core/base/error.js"
import { validToFrom } from "../../core/base/expiry.js"
import {
  beginEntry,
  importOf,
  type ImportRecord,
  type InventoryEntry,
  type MadeEntry,
} from "../../core/records/inventory.js"
import { type KeyResult, keyResult } from "../../core/records/key-result.js"
import { isKeySpec, type KeySpec, type KeyUsage } from "../../core/key/key-spec.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import type { CustodialToken } from "../../core/ports/custodial-token.js"
import { identityOf, labelOf, type SourceKey } from "../../core/key/source-key.js"
import { type Bundle, refuseExpired, sameKey } from "../../core/records/transfer.js"
import { plausibleWrappedLength, WRAPPING_ALGORITHMS } from "../../core/key/wrapping-algorithm.js"
import { type ImportParameters, sha256 } from "../../core/key/wrapping-key.js"
import { accountOf, refuseOtherAccount } from "../kms-key/account.js"
import type { Deps } from "../deps.js"
import { refuseImportOnce } from "../custody/policy.js"
import { importKey } from "../import/import.js"
import { assertTakesImport, resolveKey } from "../kms-key/find.js"
import { namedSource } from "../source-key/named.js"
import { type Evidence, evidenceOf } from "../import/prove.js"
import { identityTags } from "../kms-key/tags.js"

export interface ImportRequest {
  readonly owner: string
  readonly name: string
  readonly target: string
  readonly keyId: string
  readonly parameters: ImportParameters
  readonly encryptedKeyMaterial: Uint8Array
  /** What `wrap` wrote beside the ciphertext; without it, and without a token, there is nothing to prove by. */
  readonly bundle: Bundle | null
  readonly expiresIn: string
}

type ImportWrappedDeps = Omit<Deps, "token"> & { readonly token: CustodialToken | null }

/**
 * Last of the three steps, on the online host: imports what was wrapped elsewhere, and proves it by the bundle or, where
 * there is one, by the token.
 *
 * @throws ERR_TRANSFER_INVALID where parameters, ciphertext and bundle do not belong together; ERR_PROOF_FAILED
 */
export async function importWrapped(deps: ImportWrappedDeps, request: ImportRequest): Promise<KeyResult> {
  refuseMismatch(request)
  const key = await resolveKey(deps.kms, request.keyId)
  if (!sameKey(key.keyArn, request.parameters.keyArn)) {
    throw mismatch(`the parameters are for ${request.parameters.keyArn}, not for ${key.keyArn}`)
  }
  if (request.bundle !== null && !sameKey(key.keyArn, request.bundle.keyId)) {
    throw mismatch(`the material was wrapped for ${request.bundle.keyId}, not for ${key.keyArn}`)
  }
  if (!isKeySpec(key.keySpec))
    throw new KeyferryError("ERR_KMS_KEY_MISMATCH", `key material of ${key.keySpec} cannot be imported`)
  takenIn(partitionOf(deps.kms.region), [{ ...request.parameters, keySpec: key.keySpec }])
  assertTakesImport(key, { keySpec: request.bundle?.keySpec ?? key.keySpec, pendingOnly: false })
  await refuseOtherAccount(deps, request, () => Promise.resolve(accountOf(key.keyArn)))
  // KMS has answered, and told the time
  refuseExpired(request.parameters, deps.clock.now())
  validToFrom(request.expiresIn, deps.clock.now())
  const { entry, evidence } = await gather(deps, request, { key, keySpec: key.keySpec })
  try {
    const imported = await importKey(deps, {
      entry,
      parameters: request.parameters,
      wrapped: { bytes: request.encryptedKeyMaterial, ...wrapFacts(request) },
      expiresIn: request.expiresIn,
      evidence,
    })
    return keyResult(imported.entry, imported.record, "done", null)
  } catch (error) {
    throw errorAfter(error, `${request.name}, ${key.keyArn}`)
  }
}

const mismatch = (text: string): KeyferryError => new KeyferryError("ERR_TRANSFER_INVALID", text)

function refuseMismatch({ parameters, encryptedKeyMaterial, bundle, name }: ImportRequest): void {
  if (!plausibleWrappedLength(parameters.wrappingAlgorithm, parameters.wrappingKeySpec, encryptedKeyMaterial.length)) {
    const { wrappingAlgorithm, wrappingKeySpec } = parameters
    throw mismatch(
      `${encryptedKeyMaterial.length} bytes cannot be the result of ${wrappingAlgorithm} under ${wrappingKeySpec}`,
    )
  }
  if (bundle === null) return
  if (bundle.name !== name) throw mismatch(`the bundle is of ${bundle.name}, not of ${name}`)
  if (bundle.wrappingKeyFingerprint !== parameters.wrappingKey.fingerprint) {
    throw mismatch("the material was wrapped under another wrapping key than that of these parameters")
  }
  if (bundle.importTokenDigest !== sha256(parameters.importToken.reveal())) {
    throw mismatch("the material was wrapped for another import token than that of these parameters")
  }
  if (bundle.wrappingAlgorithm !== parameters.wrappingAlgorithm) {
    throw mismatch(
      `the material was wrapped by ${bundle.wrappingAlgorithm}, the parameters are for ${parameters.wrappingAlgorithm}`,
    )
  }
}

/** How it was wrapped: as the bundle says, or, without one, as the algorithm's name implies at least. */
function wrapFacts({ bundle, parameters }: ImportRequest): Pick<ImportRecord, "wrapPath" | "mechanisms"> {
  if (bundle !== null) return { wrapPath: bundle.wrapPath, mechanisms: bundle.mechanisms }
  const { scheme } = WRAPPING_ALGORITHMS[parameters.wrappingAlgorithm]
  return { wrapPath: scheme === "oaep" ? "oaep" : null, mechanisms: [] }
}

interface Gathered {
  readonly entry: MadeEntry
  readonly evidence: Evidence
}

/** The entry's newest source key would be forgotten for an older one. */
function refuseOlder(recorded: InventoryEntry | undefined, { bundle, name }: ImportRequest): void {
  if (recorded === undefined || bundle === null || recorded.source.generation <= bundle.generation) return
  throw new KeyferryError(
    "ERR_TRANSFER_INVALID",
    `the bundle is of generation ${bundle.generation}, and ${name} was rotated to generation ${recorded.source.generation}`,
    { key: name, hint: `older generations are imported again by keyferry rewrap ${name}` },
  )
}

/**
 * The bundle is believed of the source key whose material was imported before only where it says the same: an import
 * that changed the custody, or the key, would take the source key from all later runs.
 */
async function refuseOtherSource(
  { vault }: Pick<ImportWrappedDeps, "vault">,
  recorded: InventoryEntry | undefined,
  { bundle, name }: ImportRequest,
): Promise<void> {
  if (recorded === undefined || bundle === null || recorded.source.id === "") return
  const { source, custody, region } = recorded
  if (bundle.generation !== source.generation || importOf(recorded, source.generation, region) === undefined) return
  const { sourceKey } = bundle
  const hint =
    "wrap the key again with `keyferry wrap`; what another state directory knows of it comes by `keyferry state merge DIR`"
  const differs = (["kcv", "publicKeyFingerprint"] as const).some(
    (fact) => sourceKey[fact] !== null && source[fact] !== null && sourceKey[fact] !== source[fact],
  )
  if (sourceKey.id !== source.id || differs) {
    const message = `the bundle is of the source key ${nameOf(sourceKey)}, and that of ${name} is ${nameOf(source)}`
    throw new KeyferryError("ERR_TRANSFER_INVALID", message, { key: name, hint })
  }
  const isSealedHere = sourceKey.custody === "sealed" && (await vault.get(sourceKey.id)) !== undefined
  if (custodyOf(sourceKey.custody, custody) === custody || isSealedHere) return
  const message = `the bundle says custody ${sourceKey.custody}, and that of ${name} is ${custody}`
  throw new KeyferryError("ERR_TRANSFER_INVALID", message, { key: name, hint })
}

const nameOf = ({ id, kcv, publicKeyFingerprint }: Pick<SourceKey, "id" | "kcv" | "publicKeyFingerprint">): string =>
  [id, kcv ?? publicKeyFingerprint].filter((fact) => fact !== null).join(", ")

/** The token at hand knows better than a file. */
function refuseOtherCustody(inToken: SourceKey | undefined, { bundle, name }: ImportRequest): void {
  if (bundle === null || inToken?.id !== bundle.sourceKey.id) return
  const { custody } = bundle.sourceKey
  if (custody === inToken.custody || custodyOf(custody, inToken.custody) === inToken.custody) return
  const message = `the bundle says custody ${custody}, and the token has ${name} in custody ${inToken.custody}`
  throw new KeyferryError("ERR_TRANSFER_INVALID", message, { key: name })
}

/** The inventory's entry of the key, begun here where `params` ran elsewhere, and what the proof stands on. */
async function gather(
  deps: ImportWrappedDeps,
  request: ImportRequest,
  { key, keySpec }: { readonly key: KeyDescription; readonly keySpec: KeySpec },
): Promise<Gathered> {
  const recorded = await deps.inventory.get(request.name, request.target)
  if (recorded !== undefined && recorded.keyArn !== null && recorded.keyArn !== key.keyArn) {
    throw new KeyferryError("ERR_NAME_TAKEN", `the name ${request.name} stands for ${recorded.keyArn}`, {
      key: key.keyArn,
    })
  }
  refuseOlder(recorded, request)
  await refuseOtherSource(deps, recorded, request)
  const inToken = await sourceInToken(deps, request, recorded)
  refuseOtherCustody(inToken, request)
  const label = labelOf({ owner: request.owner, name: request.name, generation: recorded?.source.generation ?? 0 })
  const facts = request.bundle?.sourceKey ?? inToken
  const custody = custodyOf(facts?.custody, recorded?.custody)
  const { bundle } = request
  const { owner, name, target } = request
  const identity = {
    owner,
    name,
    target,
    region: deps.kms.region,
    keySpec,
    keyUsage: key.keyUsage as KeyUsage,
    custody,
  }
  const entryBefore =
    recorded ??
    beginEntry(
      { ...identity, alias: null, multiRegion: key.multiRegion },
      { id: "", label },
      randomUUID(),
      deps.clock.now(),
    )
  const entry: Gathered["entry"] = {
    ...entryBefore,
    custody,
    unenforced: facts?.unenforced ?? null,
    creating: false,
    keyArn: key.keyArn,
    token: bundle?.token ?? deps.token?.info ?? null,
    source: {
      id: facts?.id ?? entryBefore.source.id,
      label: facts?.label ?? label,
      generation: bundle?.generation ?? identityOf(facts?.label ?? label)?.generation ?? 0,
      attributes: facts?.attributes ?? null,
      kcv: facts?.kcv ?? null,
      publicKeyFingerprint: facts?.publicKeyFingerprint ?? null,
    },
  }
  refuseImportOnce({ ...entry, expiresIn: request.expiresIn, isAccepted: null })
  if (recorded?.keyArn !== key.keyArn || recorded.source.id !== entry.source.id)
    await deps.kms.tagResource(entry.keyArn, identityTags(entry))
  if (bundle !== null) return { entry, evidence: bundleEvidence(bundle) }
  if (deps.token !== null && inToken !== undefined)
    return { entry, evidence: await evidenceOf({ token: deps.token }, inToken) }
  deps.progress.warn("no bundle and no token at hand: KMS' acceptance is all that can be said of this import")
  return { entry, evidence: { kind: "none" } }
}

/** A token that knows nothing of the state tells a key that is to be locked from none of custody `token`. */
function custodyOf(inToken: Custody | undefined, recorded: Custody | undefined): Custody {
  return inToken === "token" && recorded === "locked" ? "locked" : (inToken ?? recorded ?? "token")
}

/** The source key whose material was wrapped elsewhere, where the token at hand has it. */
async function sourceInToken(
  { token, inventory, vault }: ImportWrappedDeps,
  { owner, name }: ImportRequest,
  recorded: InventoryEntry | undefined,
): Promise<SourceKey | undefined> {
  if (token === null) return undefined
  const [sourceKey] =
    recorded === undefined || recorded.source.id === "" ? [] : await token.findSourceKeys({ id: recorded.source.id })
  if (sourceKey !== undefined) return sourceKey
  try {
    return await namedSource({ token, inventory, vault }, { owner, name })
  } catch (error) {
    if (error instanceof KeyferryError && error.code === "ERR_KEY_NOT_FOUND") return undefined
    throw error
  }
}

function bundleEvidence({ proof }: Bundle): Evidence {
  if (proof === null) return { kind: "none" }
  if ("publicKey" in proof)
    return { kind: "public-key", publicKey: Uint8Array.from(Buffer.from(proof.publicKey, "base64")) }
  return {
    kind: "mac",
    nonce: Uint8Array.from(Buffer.from(proof.nonce, "hex")),
    mac: Uint8Array.from(Buffer.from(proof.mac, "hex")),
  }
}
