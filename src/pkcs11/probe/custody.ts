import { randomBytes } from "node:crypto"
import pkcs11js from "pkcs11js"
import type { EnforcementFacts } from "../../core/key/custody.js"
import type { KeySpec } from "../../core/key/key-spec.js"
import type { WrappingAlgorithm } from "../../core/key/wrapping-algorithm.js"
import { booleanOf, CKA, template } from "../cryptoki/attributes.js"
import { copyObject, createObject, getAttribute, type Handle, OwnedObjects, setAttribute } from "../cryptoki/calls.js"
import { ckrOf, refusalOf } from "../cryptoki/errors.js"
import { generateThrowAway, localPair, type Probe, throwAwaySecret } from "./throw-away.js"
import type { SessionPool } from "../session/pool.js"
import { PROBED_SPECS, probeTokenObject } from "./token-object.js"
import { plansOf, type WrapPlan, wrapUnder } from "../wrap/wrap.js"

type Fact = boolean | null

/**
 * Finds out with throw-away keys what the token enforces (docs/custody.md): session keys, and one token object. A
 * refusal counts only where the same call on a key that allows it goes through; where that fails the fact stays null.
 */
export function probeCustody(pool: SessionPool, { native }: { readonly native: boolean }): Promise<EnforcementFacts> {
  return pool.withSession(async (session, loan) => {
    loan.spoil()
    using objects = new OwnedObjects(session)
    const probe = { session, objects, native }
    return {
      extractableFalseRefusesWrap: await refusesWrap(probe, { extractable: false }),
      extractableOneWay: await isOneWay(probe, "extractable", false),
      sensitiveOneWay: await isOneWay(probe, "sensitive", true),
      wrapWithTrustedEnforced: await refusesWrap(probe, { wrapWithTrusted: true }),
      provenanceHonest: await provenance(probe),
      ...(await probeTokenObject(session, loan)),
    }
  })
}

/** A {@link Probe}, and whether the token lists CKM_RSA_AES_KEY_WRAP. */
type CustodyProbe = Probe & { readonly native: boolean }

/**
 * Secret keys go by OAEP, private keys by RSA-AES: tokens check them in different places. One that has RSA-AES as a
 * mechanism of its own, and nothing else, is asked by that.
 */
const RSA_AES = ["RSA_AES_KEY_WRAP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1"] as const
const WRAPS: readonly { readonly keySpec: KeySpec; readonly algorithms: readonly WrappingAlgorithm[] }[] = [
  { keySpec: "SYMMETRIC_DEFAULT", algorithms: ["RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1", ...RSA_AES] },
  { keySpec: "ECC_NIST_P256", algorithms: RSA_AES },
]

/** Whether C_WrapKey refuses a key with the restriction, and wraps one without; false if any kind of key gets out. */
async function refusesWrap(
  probe: CustodyProbe,
  restriction: { readonly extractable?: false; readonly wrapWithTrusted?: true },
): Promise<Fact> {
  const answers: Fact[] = []
  for (const { keySpec, algorithms } of WRAPS) {
    const control = await throwAway(probe, keySpec, {})
    const restricted = await throwAway(probe, keySpec, restriction)
    if (!control || !restricted) continue
    const plan = await workingPlan(probe, control, algorithms)
    if (plan) answers.push(!(await wraps(probe, restricted, plan)))
  }
  if (answers.length === 0) return null
  return answers.every((answer) => answer === true)
}

async function workingPlan(
  probe: CustodyProbe,
  control: Handle,
  algorithms: readonly WrappingAlgorithm[],
): Promise<WrapPlan | undefined> {
  for (const algorithm of algorithms) {
    for (const plan of plansOf(algorithm, probe.session.profile, probe)) {
      if (await wraps(probe, control, plan)) return plan
    }
  }
  return undefined
}

async function wraps({ session }: Probe, key: Handle, plan: WrapPlan): Promise<boolean> {
  const publicKey = await localPair("RSA_2048")
  try {
    await wrapUnder(session, { key, publicKey, plan })
    return true
  } catch (error) {
    refusalOf(error)
    return false
  }
}

/** Whether the attribute keeps `value` against C_SetAttributeValue and C_CopyObject. */
async function isOneWay(probe: Probe, attribute: "extractable" | "sensitive", value: boolean): Promise<Fact> {
  const { session, objects } = probe
  const key = await firstOf(probe, attribute === "extractable" ? { extractable: false } : {})
  if (!key) return null
  const read = (object: Handle): Fact => booleanOf(getAttribute(session, object, CKA[attribute]))
  if (read(key) !== value) return false
  const keeps = (change: () => Handle): boolean => {
    try {
      return read(change()) === value
    } catch (error) {
      refusalOf(error)
      return true
    }
  }
  const copied = keeps(() => objects.add(copyObject(session, key, template({ token: false, [attribute]: !value }))))
  const set = keeps(() => {
    setAttribute(session, key, { type: CKA[attribute], value: !value })
    return key
  })
  return copied && set
}

/** A throw-away key of the first kind that the token generates. */
async function firstOf(probe: Probe, attributes: { readonly extractable?: false }): Promise<Handle | undefined> {
  for (const keySpec of PROBED_SPECS) {
    const key = await throwAway(probe, keySpec, attributes)
    if (key) return key
  }
  return undefined
}

/** Whether LOCAL, ALWAYS_SENSITIVE and NEVER_EXTRACTABLE tell a generated key from one that was brought in. */
async function provenance(probe: Probe): Promise<Fact> {
  const generated = await throwAway(probe, "SYMMETRIC_DEFAULT", { extractable: false })
  const created = bringIn(probe, {})
  if (!generated || !created) return null
  // a token that believes CKA_LOCAL from a template does not tell either
  const claimed = bringIn(probe, { local: true })
  const tells = (object: Handle, expected: boolean): boolean =>
    (["local", "alwaysSensitive", "neverExtractable"] as const).every(
      (name) => booleanOf(getAttribute(probe.session, object, CKA[name])) === expected,
    )
  return tells(generated, true) && tells(created, false) && (claimed === undefined || tells(claimed, false))
}

/** A throw-away AES key whose value was made here: sensitive, never to be imported anywhere. */
function bringIn({ session, objects }: Probe, attributes: { readonly local?: true }): Handle | undefined {
  const values = { ...throwAwaySecret([]), ...attributes }
  try {
    return objects.add(
      createObject(session, [...template(values), { type: pkcs11js.CKA_VALUE, value: randomBytes(32) }]),
    )
  } catch (error) {
    refusalOf(error)
    return undefined
  }
}

async function throwAway(
  probe: Probe,
  keySpec: KeySpec,
  attributes: { readonly extractable?: false; readonly wrapWithTrusted?: true },
): Promise<Handle | undefined> {
  const key = { keySpec, id: randomBytes(16), token: false, extractable: true, wrapWithTrusted: false, usages: [] }
  try {
    return (await generateThrowAway(probe, { ...key, ...attributes })).object
  } catch (error) {
    if (ckrOf(refusalOf(error)) === undefined) throw error
    return undefined
  }
}
