import { assessAttributes, type Custody, findingsText, type LocalUsage } from "../../core/key/custody.js"
import { KeyferryError } from "../../core/base/error.js"
import type { KeySpec } from "../../core/key/key-spec.js"
import { chooseAlgorithm, type Choice } from "../../core/key/negotiation.js"
import { proofUsages, type SourceKey, type StrayObject } from "../../core/key/source-key.js"
import type { Token } from "../../core/ports/token.js"
import type { WrapCapability, WrapRequest } from "../../core/key/wrapping.js"

/**
 * The source key that already stands under a label, if it is what is asked for; undefined if there is none.
 *
 * @throws ERR_KEY_AMBIGUOUS, ERR_NAME_TAKEN
 */
export async function takeSourceKey(
  token: Pick<Token, "search">,
  wanted: {
    readonly label: string
    readonly keySpec: KeySpec
    readonly custody: Custody
    readonly id: string | undefined
    /** What else a `locked` key may do in the token. */
    readonly localUse?: readonly LocalUsage[]
  },
): Promise<SourceKey | undefined> {
  const { keys: all, strays } = await token.search({ label: wanted.label })
  // KMS keys that took each other's place count their generations from 0, so that source keys share a label
  const keys = all.length > 1 && wanted.id !== undefined ? all.filter(({ id }) => id === wanted.id) : all
  const [found, another] = keys
  if (found === undefined) {
    refuseStray(strays, wanted)
    return undefined
  }
  if (another !== undefined) {
    throw new KeyferryError("ERR_KEY_AMBIGUOUS", `several keys of the token have the label ${wanted.label}`)
  }
  if (found.attributes.extractable !== true) {
    throw new KeyferryError("ERR_KEY_NOT_EXTRACTABLE", `the token's key ${wanted.label} is not extractable`)
  }
  // it is locked only once its import is proven: until then one that was generated as `token` will do
  const custody = wanted.custody === "locked" ? "token" : wanted.custody
  const custodies = [wanted.custody, custody]
  const differs =
    (wanted.id !== undefined && found.id !== wanted.id && `the ID ${found.id}, not ${wanted.id}`) ||
    (found.keySpec !== wanted.keySpec && `the key spec ${found.keySpec}`) ||
    (!custodies.includes(found.custody) && `the custody ${found.custody}`)
  if (differs !== false) throw new KeyferryError("ERR_NAME_TAKEN", `the token's key ${wanted.label} has ${differs}`)
  // a sealed key was judged when it was sealed; as it is unsealed it is judged again
  if (custody !== "sealed") refuseAttributes(found, custody, wanted.localUse ?? [])
  return found
}

/** The token would refuse a second object of this label, but only once a KMS key was made for it. */
function refuseStray(
  strays: readonly StrayObject[],
  { label, id }: { readonly label: string; readonly id: string | undefined },
): void {
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

/** Takes the best of the candidates that the token's self-test proves; nothing beyond it is tested. */
export async function chooseTested(
  token: Pick<Token, "selfTest">,
  candidates: readonly WrapRequest[],
): Promise<Choice> {
  return await chooseAlgorithm(candidates, async (candidate): Promise<WrapCapability> => {
    const [verdict] = await token.selfTest([candidate])
    if (verdict === undefined) throw new KeyferryError("ERR_BUG", "the self-test gave no verdict")
    return verdict
  })
}
