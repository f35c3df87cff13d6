import { randomBytes } from "node:crypto"
import pkcs11js from "pkcs11js"
import type { SealingVerdict } from "../../core/key/custody.js"
import { KeyferryError } from "../../core/base/error.js"
import { KEY_SPECS, type KeySpec } from "../../core/key/key-spec.js"
import type { WrappingAlgorithm } from "../../core/key/wrapping-algorithm.js"
import { booleanOf, CKA, KEY_TYPES, template } from "../cryptoki/attributes.js"
import { getAttribute, type Handle, type Session, unwrapKey, withObjects, wrapKey } from "../cryptoki/calls.js"
import { CUSTODY_KEY_FEATURES, type CustodyKeyFeatures, generateCustodyObject } from "../objects/custody-key.js"
import { refusalOf } from "../cryptoki/errors.js"
import { type MechanismName, MECHANISMS } from "../cryptoki/mechanisms.js"
import { sealUnder, unsealUnder } from "../wrap/seal.js"
import { failure, openPath } from "./self-test.js"
import { localPair, makeSample, type Sample, THROW_AWAY_LABEL, throwAwayUsages } from "./throw-away.js"
import type { SessionPool } from "../session/pool.js"
import { SECRET_USAGES, stated } from "../objects/template.js"
import { type WrapContext, wrapUnder } from "../wrap/wrap.js"

export type SealingFinding = Omit<SealingVerdict, "enforced">

/** What probing found, and whether it may be remembered. */
export interface SealingProbe {
  readonly finding: SealingFinding
  readonly conclusive: boolean
}

type Own = (object: Handle) => Handle

interface Probe {
  readonly session: Session
  readonly own: Own
  readonly context: WrapContext
}

/** Keys of one spec that are tried before it counts as undecided: the length of an RSA PKCS #8 differs. */
const MAX_SAMPLES = 6
const PLAIN: CustodyKeyFeatures = { notModifiable: false, allowedMechanisms: false, unwrapTemplate: false }
const ALGORITHMS: readonly WrappingAlgorithm[] = ["RSA_AES_KEY_WRAP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1"]

/**
 * Seals and unseals throw-away keys of a spec under a throw-away custody key, wraps what came back under an RSA pair
 * made here, opens that outside the token and compares (PRODUCT.md section 4): the mechanism must be RFC 5649 to the
 * byte before sealing as well as after.
 */
export function probeSealing(pool: SessionPool, keySpec: KeySpec, context: WrapContext): Promise<SealingProbe> {
  return pool.withSession((session, loan) => {
    loan.spoil()
    return withObjects(session, async (own) => {
      const probe = { session, own, context }
      const flaws: string[] = []
      let conclusive = true
      for (const mechanism of context.profile.kwp) {
        try {
          const flaw = await tryMechanism(probe, keySpec, mechanism)
          if (flaw === null) return { finding: passed(mechanism), conclusive: true }
          flaws.push(flaw)
        } catch (error) {
          const refusal = refusalOf(error)
          conclusive &&= refusal.retry !== "later" && refusal.code !== "ERR_TOKEN_FULL"
          flaws.push(failure(refusal))
        }
      }
      const reason = [...new Set(flaws)].join("; ") || "no mechanism is known for it"
      return { finding: { possible: false, mechanism: null, reason }, conclusive }
    })
  })
}

function passed(mechanism: MechanismName): SealingFinding {
  return {
    possible: true,
    mechanism,
    reason: "sealed, unsealed, and opened outside the token: length and value are exact",
  }
}

/** In words what is wrong with sealing by the mechanism; null for nothing. Refusals are thrown. */
async function tryMechanism(probe: Probe, keySpec: KeySpec, mechanism: MechanismName): Promise<string | null> {
  const custodyKey = await throwAwayCustodyKey(probe, mechanism, PLAIN)
  for (let index = 0; index < MAX_SAMPLES; index++) {
    const sample = await makeSample(probe.session, keySpec, probe.context, probe.own)
    const before = await exact(probe, sample.object, sample, mechanism)
    if ("flaw" in before) return before.flaw
    const sealed = await sealUnder(probe.session, custodyKey, sample.object, keySpec, mechanism)
    const shape = {
      keySpec,
      id: randomBytes(16),
      label: THROW_AWAY_LABEL,
      publicKey: sample.publicKey,
      wrapWithTrusted: false,
      usages: throwAwayUsages(keySpec),
    }
    const unsealed = await unsealUnder(probe.session, custodyKey, sealed, mechanism, shape, probe.context)
    probe.own(unsealed.object)
    const after = await exact(probe, unsealed.object, sample, mechanism)
    if ("flaw" in after) return `once unsealed, ${after.flaw}`
    if (KEY_SPECS[keySpec].family !== "rsa" || before.length % 8 !== 0) return null
  }
  throw new KeyferryError(
    "ERR_TOKEN_UNAVAILABLE",
    `${MAX_SAMPLES} keys all had a length at which ${mechanism} cannot be told from one that pads; run it again`,
  )
}

/** Wraps by the mechanism under an AES key that leaves by OAEP, and opens both here. */
async function exact(
  { session, context }: Probe,
  key: Handle,
  sample: Sample,
  kwp: MechanismName,
): Promise<{ readonly length: number } | { readonly flaw: string }> {
  const pair = await localPair("RSA_2048")
  let refused: unknown
  for (const algorithm of ALGORITHMS) {
    const plan = { algorithm, path: "composed", kwp } as const
    try {
      const opened = openPath(await wrapUnder(session, key, pair, plan, context), pair, plan)
      // a token with one hash for all is found out by the self-test; here the other hash serves as well
      if ("flaw" in opened && opened.flaw.startsWith("CKM_RSA_PKCS_OAEP") && algorithm !== ALGORITHMS.at(-1)) continue
      if ("flaw" in opened) return opened
      const flaw = sample.flaw(opened.value)
      return flaw === null ? { length: opened.value.length } : { flaw: `${kwp} ${flaw}` }
    } catch (error) {
      refused = refusalOf(error)
    }
  }
  throw refused
}

/** A session object; a token object, destroyed like it, where the token makes no AES session keys. */
async function throwAwayCustodyKey(
  { session, own }: Probe,
  mechanism: MechanismName,
  features: CustodyKeyFeatures,
): Promise<Handle> {
  const shape = { id: randomBytes(16), label: THROW_AWAY_LABEL, token: false, mechanism, features }
  return own(await generateCustodyObject(session, shape))
}

/** Tries each feature of a custody key by itself, with throw-away keys: a token may take an attribute and ignore it. */
export function probeCustodyKey(
  pool: SessionPool,
  mechanism: MechanismName,
  context: WrapContext,
): Promise<CustodyKeyFeatures> {
  return pool.withSession((session, loan) => {
    loan.spoil()
    return withObjects(session, async (own) => {
      const probe = { session, own, context }
      const honoured: Partial<Record<keyof CustodyKeyFeatures, boolean>> = {}
      for (const feature of CUSTODY_KEY_FEATURES) honoured[feature] = await isHonoured(probe, feature, mechanism)
      return { ...PLAIN, ...honoured }
    })
  })
}

async function isHonoured(probe: Probe, feature: keyof CustodyKeyFeatures, mechanism: MechanismName): Promise<boolean> {
  try {
    const free = await throwAwayCustodyKey(probe, mechanism, PLAIN)
    const held = await throwAwayCustodyKey(probe, mechanism, { ...PLAIN, [feature]: true })
    const sample = await makeSample(probe.session, "SYMMETRIC_DEFAULT", probe.context, probe.own)
    // what is held back must still seal and unseal
    const sealed = await sealUnder(probe.session, held, sample.object, "SYMMETRIC_DEFAULT", mechanism)
    if (feature === "notModifiable") return booleanOf(getAttribute(probe.session, held, CKA.modifiable)) === false
    if (feature === "unwrapTemplate") {
      return (
        (await unwrapsReadable(probe, free, sample.object, mechanism)) &&
        !(await unwrapsReadable(probe, held, sample.object, mechanism)) &&
        sealed.length > 0
      )
    }
    return (await wrapsOtherwise(probe, free, sample.object)) && !(await wrapsOtherwise(probe, held, sample.object))
  } catch (error) {
    refusalOf(error)
    return false
  }
}

/** Whether the token unwraps into a key that could be read: with a custody key's own template it must not. */
export async function unwrapsReadable(
  { session, own }: Pick<Probe, "session" | "own">,
  custodyKey: Handle,
  throwAway: Handle,
  mechanism: MechanismName,
): Promise<boolean> {
  const sealed = await wrapKey(session, { mechanism: MECHANISMS[mechanism] }, custodyKey, throwAway)
  const readable = template({
    class: pkcs11js.CKO_SECRET_KEY,
    keyType: KEY_TYPES.CKK_AES,
    token: false,
    private: true,
    sensitive: false,
    extractable: true,
    label: THROW_AWAY_LABEL,
    ...stated(SECRET_USAGES, []),
  })
  try {
    own(await unwrapKey(session, { mechanism: MECHANISMS[mechanism] }, custodyKey, sealed, readable))
    return true
  } catch (error) {
    refusalOf(error)
    return false
  }
}

/** Whether an existing custody key has its CKA_UNWRAP_TEMPLATE: read back it would want pointers, so it is tried. */
export async function holdsUnwrapTemplate(
  session: Session,
  custodyKey: Handle,
  mechanism: MechanismName,
  context: WrapContext,
  own: Own,
): Promise<boolean> {
  const sample = await makeSample(session, "SYMMETRIC_DEFAULT", context, own)
  return !(await unwrapsReadable({ session, own }, custodyKey, sample.object, mechanism))
}

/** By RFC 3394, which every token with RFC 5649 has; CKA_ALLOWED_MECHANISMS does not name it. */
async function wrapsOtherwise({ session }: Probe, custodyKey: Handle, throwAway: Handle): Promise<boolean> {
  try {
    await wrapKey(session, { mechanism: MECHANISMS.CKM_AES_KEY_WRAP }, custodyKey, throwAway)
    return true
  } catch (error) {
    refusalOf(error)
    return false
  }
}
