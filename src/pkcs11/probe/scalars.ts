import {
  createCipheriv,
  createECDH,
  createPrivateKey,
  createPublicKey,
  type JsonWebKey,
  randomBytes,
} from "node:crypto"
import pkcs11js from "pkcs11js"
import { KEY_SPECS, type KeySpec } from "../../core/key/key-spec.js"
import { KEY_TYPES, template } from "../cryptoki/attributes.js"
import { createObject, type Handle, OwnedObjects } from "../cryptoki/calls.js"
import { refusalOf } from "../cryptoki/errors.js"
import { PRIVATE_USAGES, stated } from "../objects/template.js"
import { pointOf, unsealUnder } from "../wrap/seal.js"
import { privateKeyFlaw, scalarFlaw, scalarOf } from "./material.js"
import type { Opened } from "./opened.js"
import { makeSample, type Probe, type Sample, throwAwaySecret, THROW_AWAY_LABEL } from "./throw-away.js"

/** How EC private keys leave a token by one way of wrapping, whatever the value of their scalar. */
export interface ScalarFinding {
  /** In words, to follow a mechanism's name: what is wrong with some of them; null for nothing. */
  readonly flaw: string | null
  /** Throw-away keys with a scalar that hurts which left exact: what another step of the token is to be tried with. */
  readonly exact: readonly Sample[]
}

/** Opens a key by the way of wrapping that is tried. */
type Open = (object: Handle) => Promise<Opened>

/** Keys of one spec that are counted where none of chosen value can be brought in: every second of P-521 tells. */
const COUNTED = 32

/** OpenSSL's names of the curves. */
const OPENSSL_CURVES = {
  "P-256": "prime256v1",
  "P-384": "secp384r1",
  "P-521": "secp521r1",
  secp256k1: "secp256k1",
} as const

/**
 * Tries EC private keys of chosen value: a scalar that begins with zero bytes, which some tokens drop, and one whose
 * first bit is set, before which some put a zero byte. They are brought in by C_CreateObject, else by C_UnwrapKey; what
 * comes out wrong, or cannot be brought in, is decided by counted keys that the token generated.
 */
export async function probeScalars(probe: Probe, keySpec: KeySpec, open: Open): Promise<ScalarFinding> {
  let suspicion: string | null = null
  for (const bringIn of [create, unwrap]) {
    const finding = await chosenKeys(probe, keySpec, { open, bringIn })
    if (finding?.flaw === null) return finding
    suspicion ??= finding?.flaw ?? null
  }
  return await countedKeys(probe, keySpec, { open, suspicion })
}

type BringIn = (probe: Probe, keySpec: KeySpec, scalar: Buffer) => Promise<Sample>

/** Undefined where the token does not let them in, or out. */
async function chosenKeys(
  probe: Probe,
  keySpec: KeySpec,
  { open, bringIn }: { readonly open: Open; readonly bringIn: BringIn },
): Promise<ScalarFinding | undefined> {
  const exact: Sample[] = []
  for (const scalar of chosenScalars(keySpec)) {
    try {
      const sample = await bringIn(probe, keySpec, scalar)
      const opened = await open(sample.object)
      if ("flaw" in opened || sample.flaw(opened.value) !== null) return undefined
      const flaw = scalarFlaw(opened.value, keySpec)
      if (flaw !== null) return { flaw, exact }
      exact.push(sample)
    } catch (error) {
      refusalOf(error)
      return undefined
    }
  }
  return { flaw: null, exact }
}

/** What the token generated leaves exact, or not: at P-521 the first byte of every second scalar is zero. */
async function countedKeys(
  probe: Probe,
  keySpec: KeySpec,
  { open, suspicion }: { readonly open: Open; readonly suspicion: string | null },
): Promise<ScalarFinding> {
  const exact: Sample[] = []
  for (const spec of new Set<KeySpec>([keySpec, "ECC_NIST_P521"])) {
    for (let count = 0; count < COUNTED; count++) {
      using objects = new OwnedObjects(probe.session)
      const counted = await countedKey({ session: probe.session, objects }, spec, open)
      if (counted === undefined) break
      const { sample, scalar, flaw } = counted
      if (flaw !== null) return { flaw, exact: [] }
      if (scalar[0] !== 0) continue
      exact.push({ ...sample, object: probe.objects.add(objects.release(sample.object)) })
      // in a whole scalar of this curve no first bit is ever set
      if (KEY_SPECS[spec].bits % 8 !== 0) break
    }
  }
  return { flaw: exact.length > 0 ? null : suspicion, exact }
}

/** One throw-away key that leaves; undefined where it does not, or with a flaw that other tests are for. */
async function countedKey(probe: Probe, keySpec: KeySpec, open: Open) {
  try {
    const sample = await makeSample(probe, keySpec)
    const opened = await open(sample.object)
    if ("flaw" in opened || sample.flaw(opened.value) !== null) return undefined
    const scalar = scalarOf(opened.value) ?? Buffer.alloc(0)
    return { sample, scalar, flaw: scalarFlaw(opened.value, keySpec) }
  } catch (error) {
    refusalOf(error)
    return undefined
  }
}

/** Big-endian, ⌈bits/8⌉ bytes, below the curve's order. */
function chosenScalars(keySpec: KeySpec): readonly Buffer[] {
  const { bits } = KEY_SPECS[keySpec]
  const length = Math.ceil(bits / 8)
  const zeros = randomBytes(length).fill(0, 0, 2)
  zeros[2] = 0x81
  if (bits % 8 !== 0) return [zeros]
  const high = randomBytes(length)
  high[0] = 0x81
  return [zeros, high]
}

/** By C_CreateObject with CKA_VALUE. */
function create({ session, objects }: Probe, keySpec: KeySpec, scalar: Buffer): Promise<Sample> {
  const { ecParams = new Uint8Array() } = KEY_SPECS[keySpec]
  const { publicKey } = pairOf(keySpec, scalar)
  const { profile } = session
  const values = {
    class: pkcs11js.CKO_PRIVATE_KEY,
    keyType: KEY_TYPES.CKK_EC,
    token: false,
    private: true,
    sensitive: true,
    extractable: true,
    id: randomBytes(16),
    label: THROW_AWAY_LABEL,
    ecParams: Buffer.from(ecParams),
    ...stated(PRIVATE_USAGES, [], profile.unknownUsages),
    ...(profile.unwrapWantsPoint ? { nssDb: pointOf(publicKey) } : {}),
  }
  const object = createObject(session, [...template(values), { type: pkcs11js.CKA_VALUE, value: scalar }])
  return Promise.resolve(sampleOf(objects.add(object), keySpec, publicKey))
}

/** By C_UnwrapKey, from under an AES key whose value was made here. */
async function unwrap({ session, objects }: Probe, keySpec: KeySpec, scalar: Buffer): Promise<Sample> {
  const [mechanism = "CKM_AES_KEY_WRAP_KWP"] = session.profile.kwp
  const { publicKey, pkcs8 } = pairOf(keySpec, scalar)
  const aesKey = randomBytes(32)
  const values = throwAwaySecret(["unwrap"])
  const unwrapping = createObject(session, [...template(values), { type: pkcs11js.CKA_VALUE, value: aesKey }])
  objects.add(unwrapping)
  const cipher = createCipheriv("id-aes256-wrap-pad", aesKey, Buffer.from("a65959a6", "hex"))
  const sealed = {
    ciphertext: Buffer.concat([cipher.update(pkcs8), cipher.final()]),
    keySpec,
    id: randomBytes(16),
    label: THROW_AWAY_LABEL,
    publicKey,
    wrapWithTrusted: false,
    usages: [],
  }
  const { object } = await unsealUnder(session, { object: unwrapping, mechanism }, sealed)
  return sampleOf(objects.add(object), keySpec, publicKey)
}

function sampleOf(object: Handle, keySpec: KeySpec, publicKey: Buffer): Sample {
  return { keySpec, object, publicKey, flaw: (value) => privateKeyFlaw(value, keySpec, publicKey) }
}

/** The pair of a scalar: SubjectPublicKeyInfo and PKCS #8, both DER. */
function pairOf(keySpec: KeySpec, scalar: Buffer): { readonly publicKey: Buffer; readonly pkcs8: Buffer } {
  const { jwkCurve = "P-256" } = KEY_SPECS[keySpec]
  const ecdh = createECDH(OPENSSL_CURVES[jwkCurve as keyof typeof OPENSSL_CURVES])
  ecdh.setPrivateKey(scalar)
  const point = ecdh.getPublicKey()
  const half = (point.length - 1) / 2
  const [x, y] = [point.subarray(1, 1 + half), point.subarray(1 + half)].map((part) => part.toString("base64url"))
  const key = { kty: "EC", crv: jwkCurve, x, y } as JsonWebKey
  const privateKey = createPrivateKey({ key: { ...key, d: scalar.toString("base64url") }, format: "jwk" })
  return {
    publicKey: createPublicKey({ key, format: "jwk" }).export({ format: "der", type: "spki" }),
    pkcs8: privateKey.export({ format: "der", type: "pkcs8" }),
  }
}
