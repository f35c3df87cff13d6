import { assessAttributes, type Custody, findingsText, type LocalUsage } from "../../core/key/custody.js"
import { KeyferryError } from "../../core/base/error.js"
import type { KeySpec } from "../../core/key/key-spec.js"
import { proofUsages, type SourceKey, type StrayObject } from "../../core/key/source-key.js"
import type { Token } from "../../core/ports/token.js"
import type { SourceKeyRecord } from "../../core/records/inventory.js"

/** What a source key is to be like. */
export interface SourceKeyTerms {
  readonly label: string
  /** Undefined where no run has chosen it yet. */
  readonly id: string | undefined
  readonly keySpec: KeySpec
  readonly custody: Custody
  /** What else a `locked` key may do in the token. */
  readonly localUse: readonly LocalUsage[]
}

export interface FoundSource {
  /** Undefined if there is none. */
  readonly key: SourceKey | undefined
  /** Whether a run died while the token made the pair, whose two objects are not made in one step. */
  readonly halfMade: boolean
}

/**
 * Looks for the source key that already stands under a label, and judges it: it must be what is asked for.
 *
 * @throws ERR_KEY_AMBIGUOUS, ERR_NAME_TAKEN, ERR_KEY_NOT_EXTRACTABLE, ERR_KEY_ATTRIBUTES
 */
export async function findSourceKey(
  token: Pick<Token, "search">,
  terms: SourceKeyTerms & {
    /** Only the ID tells: KMS keys that took each other's place count generations from 0, so that labels repeat. */
    readonly sharesLabel: boolean
  },
): Promise<FoundSource> {
  const { label, id } = terms
  const { keys, strays } = await token.search(terms.sharesLabel && id !== undefined ? { id } : { label })
  const candidates = keys.length > 1 && id !== undefined ? keys.filter((candidate) => candidate.id === id) : keys
  const [key, second] = candidates
  if (key === undefined) {
    refuseStray(strays, terms)
    return { key: undefined, halfMade: strays.length > 0 }
  }
  if (second !== undefined) {
    throw new KeyferryError("ERR_KEY_AMBIGUOUS", `several keys of the token have the label ${label}`)
  }
  judgeFound(key, terms)
  return { key, halfMade: false }
}

/**
 * The source key of a generation that KMS has, or had, the material of: no other would do.
 *
 * @throws ERR_KEY_NOT_FOUND, ERR_KEY_NOT_EXTRACTABLE
 */
export async function heldSourceKey(
  token: Pick<Token, "info" | "findSourceKeys">,
  { id, label }: Pick<SourceKeyRecord, "id" | "label">,
  name: string,
): Promise<SourceKey> {
  const [key] = await token.findSourceKeys({ id })
  if (key !== undefined) return key
  const message = `the source key ${label} (${id}) is not in token "${token.info.label}"`
  throw new KeyferryError("ERR_KEY_NOT_FOUND", message, { key: name })
}

/** @throws ERR_KEY_NOT_EXTRACTABLE where the key can be wrapped no more; a sealed one is extractable once unsealed */
export function refuseUnextractable({ label, custody, attributes }: SourceKey): void {
  if (custody === "sealed" || attributes.extractable === true) return
  throw new KeyferryError("ERR_KEY_NOT_EXTRACTABLE", `the token's key ${label} is not extractable`, { key: label })
}

function judgeFound(key: SourceKey, { label, id, keySpec, custody, localUse }: SourceKeyTerms): void {
  refuseUnextractable(key)
  // it is locked only once its import is proven: until then one that was generated as `token` will do
  const unlocked = custody === "locked" ? "token" : custody
  const difference =
    (id !== undefined && key.id !== id && `the ID ${key.id}, not ${id}`) ||
    (key.keySpec !== keySpec && `the key spec ${key.keySpec}`) ||
    (![custody, unlocked].includes(key.custody) && `the custody ${key.custody}`)
  if (difference !== false) throw new KeyferryError("ERR_NAME_TAKEN", `the token's key ${label} has ${difference}`)
  // a sealed key was judged when it was sealed; as it is unsealed it is judged again
  if (unlocked !== "sealed") refuseAttributes(key, unlocked, localUse)
}

/** The token would refuse a second object of this label, but only once a KMS key was made for it. */
function refuseStray(strays: readonly StrayObject[], { label, id }: Pick<SourceKeyTerms, "label" | "id">): void {
  // with the ID that an earlier run chose it is the half of a pair which that run left
  const stray = strays.find((object) => object.id !== id)
  if (stray === undefined) return
  throw new KeyferryError("ERR_NAME_TAKEN", `the token holds ${label} (ID ${stray.id || "none"}): ${stray.reason}`, {
    hint: "destroy it (`keyferry key destroy`), or choose another --name",
  })
}

/** A key that keyferry would not have made so is not imported under its label either (invariant I1). */
function refuseAttributes(
  { label, keySpec, attributes }: SourceKey,
  custody: Custody,
  localUse: readonly LocalUsage[],
): void {
  const findings = assessAttributes(attributes, custody, [...proofUsages(keySpec), ...localUse])
  if (findings.length === 0) return
  throw new KeyferryError("ERR_KEY_ATTRIBUTES", `the token's key ${label} is not as asked: ${findingsText(findings)}`, {
    hint: "destroy it (`keyferry key destroy`), or choose another --name",
  })
}
