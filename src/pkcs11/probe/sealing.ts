import { randomBytes } from "node:crypto"
import pkcs11js from "pkcs11js"
import type { SealingVerdict } from "../../core/key/custody.js"
import { KeyferryError } from "../../core/base/error.js"
import { KEY_SPECS, type KeySpec } from "../../core/key/key-spec.js"
import type { WrappingAlgorithm } from "../../core/key/wrapping-algorithm.js"
import type { CustodyKey } from "../../core/records/sealed-material.js"
import { booleanOf, CKA, KEY_TYPES, template } from "../cryptoki/attributes.js"
import { getAttribute, type Handle, unwrapKey, wrapKey } from "../cryptoki/calls.js"
import {
  CUSTODY_KEY_FEATURES,
  type CustodyKeyFeatures,
  type FoundCustodyKey,
  generateCustodyObject,
} from "../objects/custody-key.js"
import { refusalOf } from "../cryptoki/errors.js"
import type { MechanismName } from "../cryptoki/mechanisms.js"
import { type SealingKey, sealUnder, unsealUnder, wrappingOf } from "../wrap/seal.js"
import { scalarFlaw, scalarOf } from "./material.js"
import { probeScalars } from "./scalars.js"
import { failure, openPath } from "./self-test.js"
import {
  localPair,
  makeSample,
  type Probe,
  type Sample,
  THROW_AWAY_LABEL,
  throwAwayUsages,
  withProbe,
} from "./throw-away.js"
import type { Opened } from "./opened.js"
import type { SessionPool } from "../session/pool.js"
import { SECRET_USAGES, stated } from "../objects/template.js"
import { wrapBy, wrapUnder } from "../wrap/wrap.js"

export type SealingFinding = Omit<SealingVerdict, "enforced">

/** What probing found, and whether it may be remembered. */
export interface SealingProbe {
  readonly finding: SealingFinding
  readonly conclusive: boolean
}

/** Keys of one spec that are tried before it counts as undecided: of RSA the length, of EC the first byte differs. */
const MAX_SAMPLES = 12
const PLAIN: CustodyKeyFeatures = { notModifiable: false, allowedMechanisms: false, unwrapTemplate: false }
const ALGORITHMS: readonly WrappingAlgorithm[] = ["RSA_AES_KEY_WRAP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1"]

/**
 * Seals and unseals throw-away keys of a spec under a throw-away custody key, wraps what came back under an RSA pair
 * made here, opens that outside the token and compares (docs/custody.md): the mechanism must be RFC 5649 to the
 * byte before sealing as well as after.
 */
export function probeSealing(pool: SessionPool, keySpec: KeySpec): Promise<SealingProbe> {
  return withProbe(pool, async (probe) => {
    const flaws: string[] = []
    let conclusive = true
    for (const mechanism of probe.session.profile.kwp) {
      try {
        const sealingKey = await throwAwayCustodyKey(probe, mechanism, PLAIN)
        const flaw = await tryMechanism(probe, keySpec, sealingKey)
        if (flaw === null) {
          return { finding: passed(mechanism, await tryScalars(probe, keySpec, sealingKey)), conclusive: true }
        }
        flaws.push(flaw)
      } catch (error) {
        const refusal = refusalOf(error)
        conclusive &&= refusal.retry !== "later" && refusal.code !== "ERR_TOKEN_FULL"
        flaws.push(failure(refusal))
      }
    }
    const reason = [...new Set(flaws)].join("; ") || "no mechanism is known for it"
    return { finding: { possible: false, mechanism: null, shortScalars: false, reason }, conclusive }
  })
}

/** `flaw` in words: what unsealing does to some EC private keys; null for nothing. */
function passed(mechanism: MechanismName, flaw: string | null): SealingFinding {
  const common = { possible: true, mechanism, shortScalars: flaw !== null }
  if (flaw === null) {
    return { ...common, reason: "sealed, unsealed, and opened outside the token: length and value are exact" }
  }
  return { ...common, reason: `once unsealed, ${mechanism} ${flaw}: such a key is not kept, and another one generated` }
}

/** In words what is wrong with sealing by the mechanism; null for nothing. Refusals are thrown. */
async function tryMechanism(probe: Probe, keySpec: KeySpec, sealingKey: SealingKey): Promise<string | null> {
  const { mechanism } = sealingKey
  const { family } = KEY_SPECS[keySpec]
  for (let index = 0; index < MAX_SAMPLES; index++) {
    const sample = await makeSample(probe, keySpec)
    // a token without the mechanism says so itself, whatever else it lacks
    if (index === 0) await wrapBy(probe.session, { ...wrappingOf(sealingKey), name: mechanism }, sample.object)
    const before = await exact(probe, { ...sample, kwp: mechanism })
    if ("flaw" in before) return before.flaw
    const after = await exact(probe, { ...(await unsealedAgain(probe, sealingKey, sample)), kwp: mechanism })
    if ("flaw" in after) return `once unsealed, ${after.flaw}`
    if (family === "ec" && !hurts(before.value)) {
      const flaw = scalarFlaw(after.value, keySpec)
      return flaw === null || scalarFlaw(before.value, keySpec) !== null ? null : `once unsealed, ${mechanism} ${flaw}`
    }
    if (family !== "ec" && (family !== "rsa" || before.value.length % 8 !== 0)) return null
  }
  throw new KeyferryError(
    "ERR_TOKEN_UNAVAILABLE",
    `${MAX_SAMPLES} keys all had a length at which ${mechanism} cannot be told from one that pads; run it again`,
  )
}

/** In words what unsealing does to EC private keys of some values; null for nothing, and for every other family. */
async function tryScalars(probe: Probe, keySpec: KeySpec, sealingKey: SealingKey): Promise<string | null> {
  if (KEY_SPECS[keySpec].family !== "ec") return null
  const kwp = sealingKey.mechanism
  const open = (object: Handle): ReturnType<typeof exact> => exact(probe, { object, flaw: () => null, kwp })
  for (const sample of (await probeScalars(probe, keySpec, open)).exact) {
    const after = await exact(probe, { ...(await unsealedAgain(probe, sealingKey, sample)), kwp })
    const flaw = "flaw" in after ? after.flaw : scalarFlaw(after.value, sample.keySpec)
    if (flaw !== null) return flaw
  }
  return null
}

/** Whether the scalar is of those that some tokens lengthen or shorten: the others must come out right everywhere. */
function hurts(value: Buffer): boolean {
  const [first = 0] = scalarOf(value) ?? []
  return first === 0 || first >= 0x80
}

/** A sample that was sealed and unsealed. */
async function unsealedAgain(
  { session, objects }: Probe,
  sealingKey: SealingKey,
  sample: Sample,
): Promise<Pick<Sample, "object" | "flaw">> {
  const { keySpec, publicKey } = sample
  const { object } = await unsealUnder(session, sealingKey, {
    ciphertext: await sealUnder(session, sealingKey, { object: sample.object, keySpec }),
    keySpec,
    id: randomBytes(16),
    label: THROW_AWAY_LABEL,
    publicKey,
    wrapWithTrusted: false,
    usages: throwAwayUsages(keySpec),
  })
  return { object: objects.add(object), flaw: (value) => sample.flaw(value) }
}

/** Wraps an object by the mechanism under an AES key that leaves by OAEP, opens both here, and compares. */
async function exact(
  { session }: Probe,
  { object, flaw: compare, kwp }: Pick<Sample, "object" | "flaw"> & { readonly kwp: MechanismName },
): Promise<Opened> {
  const pair = await localPair("RSA_2048")
  let refused: unknown
  for (const algorithm of ALGORITHMS) {
    const plan = { algorithm, path: "composed", kwp } as const
    try {
      const opened = openPath(await wrapUnder(session, { key: object, publicKey: pair, plan }), pair, plan)
      // a token with one hash for all is found out by the self-test; here the other hash serves as well
      if ("flaw" in opened && opened.flaw.startsWith("CKM_RSA_PKCS_OAEP") && algorithm !== ALGORITHMS.at(-1)) continue
      if ("flaw" in opened) return opened
      const flaw = compare(opened.value)
      return flaw === null ? opened : { flaw: `${kwp} ${flaw}` }
    } catch (error) {
      refused = refusalOf(error)
    }
  }
  throw refused
}

/** A session object; a token object, destroyed like it, where the token makes no AES session keys. */
async function throwAwayCustodyKey(
  { session, objects }: Probe,
  mechanism: MechanismName,
  features: CustodyKeyFeatures,
): Promise<SealingKey> {
  const shape = { id: randomBytes(16), label: THROW_AWAY_LABEL, token: false, mechanism, features }
  return { object: objects.add(await generateCustodyObject(session, shape)), mechanism }
}

/** Tries each feature of a custody key by itself, with throw-away keys: a token may take an attribute and ignore it. */
export function probeCustodyKey(pool: SessionPool, mechanism: MechanismName): Promise<CustodyKeyFeatures> {
  return withProbe(pool, async (probe) => {
    const honoured: Partial<Record<keyof CustodyKeyFeatures, boolean>> = {}
    for (const feature of CUSTODY_KEY_FEATURES) honoured[feature] = await isHonoured(probe, feature, mechanism)
    return { ...PLAIN, ...honoured }
  })
}

async function isHonoured(probe: Probe, feature: keyof CustodyKeyFeatures, mechanism: MechanismName): Promise<boolean> {
  try {
    const plain = await throwAwayCustodyKey(probe, mechanism, PLAIN)
    const restricted = await throwAwayCustodyKey(probe, mechanism, { ...PLAIN, [feature]: true })
    const { object } = await makeSample(probe, "SYMMETRIC_DEFAULT")
    // what is restricted must still seal
    await sealUnder(probe.session, restricted, { object, keySpec: "SYMMETRIC_DEFAULT" })
    if (feature === "notModifiable") {
      return booleanOf(getAttribute(probe.session, restricted.object, CKA.modifiable)) === false
    }
    const forbidden = feature === "unwrapTemplate" ? unwrapsReadable : wrapsOtherwise
    return (await forbidden(probe, plain, object)) && !(await forbidden(probe, restricted, object))
  } catch (error) {
    refusalOf(error)
    return false
  }
}

/** Whether the token unwraps into a key that could be read: with a custody key's own template it must not. */
async function unwrapsReadable(
  { session, objects }: Probe,
  sealingKey: SealingKey,
  throwAway: Handle,
): Promise<boolean> {
  const bytes = await wrapKey(session, wrappingOf(sealingKey), throwAway)
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
    objects.add(await unwrapKey(session, wrappingOf(sealingKey), { bytes, template: readable }))
    return true
  } catch (error) {
    refusalOf(error)
    return false
  }
}

/**
 * Custody keys of the token, with whether each has its CKA_UNWRAP_TEMPLATE: to read it back would want pointers, so it
 * is tried with a throw-away key.
 */
export function probeUnwrapTemplates(
  pool: SessionPool,
  custodyKeys: readonly FoundCustodyKey[],
  mechanism: MechanismName,
): Promise<readonly CustodyKey[]> {
  return withProbe(pool, async (probe) => {
    const keys: CustodyKey[] = []
    for (const { key, object } of custodyKeys) {
      const sample = await makeSample(probe, "SYMMETRIC_DEFAULT")
      const unwrapTemplate = !(await unwrapsReadable(probe, { object, mechanism }, sample.object))
      keys.push({ ...key, unwrapTemplate })
    }
    return keys
  })
}

/** By RFC 3394, which every token with RFC 5649 has; CKA_ALLOWED_MECHANISMS does not name it. */
async function wrapsOtherwise({ session }: Probe, { object }: SealingKey, throwAway: Handle): Promise<boolean> {
  try {
    await wrapKey(session, wrappingOf({ object, mechanism: "CKM_AES_KEY_WRAP" }), throwAway)
    return true
  } catch (error) {
    refusalOf(error)
    return false
  }
}
