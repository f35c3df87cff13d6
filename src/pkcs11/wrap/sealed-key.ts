import { KeyferryError } from "../../core/base/error.js"
import { KEY_SPECS } from "../../core/key/key-spec.js"
import { proofUsages, type SourceKey } from "../../core/key/source-key.js"
import type { SealedBytes, SealedMaterial } from "../../core/records/sealed-material.js"
import type { KeyObjectFacts } from "../cryptoki/attributes.js"
import { destroyObject, type Handle, RESULT_BYTES, type Session } from "../cryptoki/calls.js"
import { ckrOf, restate } from "../cryptoki/errors.js"
import { isMechanismName, type MechanismName } from "../cryptoki/mechanisms.js"
import { custodyKeyFlaws, type FoundCustodyKey } from "../objects/custody-key.js"
import type { LocatedKey } from "../objects/handle-cache.js"
import { publicKeyOf } from "../objects/public-key.js"
import { describeKey, identify } from "../objects/source-key.js"
import type { TokenSession } from "../session/pool.js"
import {
  fitsPublicKey,
  type SealedKey,
  sealedLength,
  type SealingKey,
  sealUnder,
  type Unsealed,
  unsealUnder,
} from "./seal.js"
import { wrapFailure } from "./wrap.js"

/** The custody key that seals a source key, and by which mechanism. */
interface Sealing {
  readonly custodyKey: FoundCustodyKey
  readonly mechanism: MechanismName
}

/**
 * Seals a source key, and unseals it once to see that it comes back: what does not would be missed when it is needed.
 *
 * @throws ERR_CUSTODY_REFUSED, ERR_SEALED_UNREADABLE, ERR_KEY_NOT_FOUND, ERR_KEY_NOT_EXTRACTABLE, ERR_WRAP_RESULT
 */
export async function sealKey(
  session: TokenSession,
  { custodyKey, mechanism }: Sealing,
  { key, located }: { readonly key: SourceKey; readonly located: LocatedKey },
): Promise<SealedBytes> {
  const flaws = custodyKeyFlaws(custodyKey.key.attributes)
  if (flaws.length > 0) {
    const message = `${custodyKey.key.label} is no custody key to seal under: ${flaws.join(", ")}`
    throw new KeyferryError("ERR_CUSTODY_REFUSED", message, { key: key.label })
  }
  const { object, publicHalf } = located
  const publicKey = publicHalf ? publicKeyOf(session, publicHalf, key.keySpec) : located.publicKey
  const sealingKey = { object: custodyKey.object, mechanism }
  try {
    const ciphertext = await sealUnder(session, sealingKey, { object, keySpec: key.keySpec })
    const unsealed = await unseal(session, sealingKey, { ...shapeOf(key), ciphertext, publicKey })
    destroyObject(session, unsealed.object)
    return { ciphertext: Uint8Array.from(ciphertext), mechanism }
  } catch (error) {
    throw wrapFailure(error, key.label)
  }
}

/**
 * The mechanism by which a sealed key was sealed.
 *
 * @throws ERR_SEALED_UNREADABLE for one that keyferry does not know, or for ciphertext that can be none
 */
export function sealedMechanism({ ciphertext, mechanism, label }: SealedMaterial): MechanismName {
  if (isMechanismName(mechanism) && ciphertext.length >= 16 && ciphertext.length <= RESULT_BYTES) return mechanism
  throw unreadable(label, `${ciphertext.length} bytes by ${mechanism} are no sealed key`)
}

/**
 * Unseals into a session object and describes it as the source key that it was.
 *
 * @throws ERR_SEALED_UNREADABLE, ERR_KEY_ATTRIBUTES, and what C_UnwrapKey answers
 */
export async function unsealKey(
  session: TokenSession,
  { custodyKey, mechanism }: Sealing,
  material: SealedMaterial,
): Promise<{ readonly key: SourceKey; readonly object: Handle }> {
  const { ciphertext, custodyKey: name, label, provenance } = material
  if (differ(name.kcv, custodyKey.key.kcv)) {
    const kcvs = `KCV ${custodyKey.key.kcv ?? "none"}, not ${name.kcv ?? "none"}`
    throw unreadable(label, `the token's ${name.label} is another key (${kcvs})`)
  }
  const { object, facts } = await unseal(
    session,
    { object: custodyKey.object, mechanism },
    {
      ...shapeOf(material),
      ciphertext,
      publicKey: provenance.publicKey,
      wrapWithTrusted: provenance.attributes.wrapWithTrusted === true,
      kcv: provenance.kcv,
    },
  )
  // SoftHSM tells no length of an unwrapped generic secret: the length of what was unwrapped has told it
  const readLength = facts.valueLength ?? 0
  const valueLength = readLength > 0 ? readLength : lengthOf(material)
  const key = describeKey({ ...facts, valueLength }, provenance.publicKey)
  if (key?.keySpec === material.keySpec) return { key, object }
  destroyObject(session, object)
  throw unreadable(label, `it comes out as ${key?.keySpec ?? "a key of no key spec"}, not ${material.keySpec}`)
}

/** Unseals, and compares with what was recorded of the key. */
async function unseal(
  session: TokenSession,
  sealingKey: SealingKey,
  sealed: SealedKey & Pick<SourceKey, "kcv">,
): Promise<Unsealed> {
  let unsealed: Unsealed
  try {
    unsealed = await unsealUnder(session, sealingKey, sealed)
  } catch (error) {
    const ckr = ckrOf(error) ?? ""
    if (!UNREADABLE.has(ckr) && !(VAGUE.has(ckr) && isThere(session, sealingKey.object))) throw error
    throw unreadable(sealed.label, `the token cannot unseal it (C_UnwrapKey: ${ckr})`, error)
  }
  const fits =
    !differ(sealed.kcv, kcvOf(unsealed.facts)) &&
    (sealed.publicKey === null || fitsPublicKey(unsealed.facts, sealed.publicKey))
  if (fits) return unsealed
  destroyObject(session, unsealed.object)
  throw unreadable(sealed.label, "it opens to another key than the one that was sealed")
}

/** Answers of C_UnwrapKey that are about the ciphertext (PKCS #11 v3.1 section 5.18.4). */
const UNREADABLE: ReadonlySet<string> = new Set([
  "CKR_ENCRYPTED_DATA_INVALID",
  "CKR_ENCRYPTED_DATA_LEN_RANGE",
  "CKR_WRAPPED_KEY_INVALID",
  "CKR_WRAPPED_KEY_LEN_RANGE",
])
/** SoftHSM and openCryptoki answer so to a ciphertext that does not open, and to any other fault. */
const VAGUE: ReadonlySet<string> = new Set(["CKR_GENERAL_ERROR", "CKR_FUNCTION_FAILED"])

function isThere(session: Session, custodyKey: Handle): boolean {
  try {
    return identify(session, custodyKey).id !== ""
  } catch {
    return false
  }
}

/** What is the same whenever the key is unsealed; `kcv` where it is known. */
function shapeOf(key: Pick<SourceKey, "keySpec" | "id" | "label"> & Partial<Pick<SourceKey, "kcv">>) {
  const { keySpec, id, label, kcv = null } = key
  return { keySpec, id: Buffer.from(id, "hex"), label, wrapWithTrusted: false, usages: proofUsages(keySpec), kcv }
}

/** Bytes of a secret key that gave this much ciphertext; null where its spec would have given another length. */
function lengthOf({ keySpec, ciphertext }: SealedMaterial): number | null {
  return ciphertext.length === sealedLength(keySpec) ? KEY_SPECS[keySpec].bits / 8 : null
}

function kcvOf({ checkValue }: KeyObjectFacts): string | null {
  return checkValue && checkValue.length > 0 ? checkValue.toString("hex") : null
}

/** Whether two check values tell two keys apart; a token without any tells nothing. */
function differ(a: string | null, b: string | null): boolean {
  return a !== null && b !== null && a !== b
}

function unreadable(key: string, message: string, cause?: unknown): KeyferryError {
  const code = "ERR_SEALED_UNREADABLE"
  const restated = restate(cause, { code, message, key })
  return restated instanceof KeyferryError ? restated : new KeyferryError(code, message, { key })
}
