import { createPrivateKey, createPublicKey, ECDH } from "node:crypto"
import type { KeyFamily } from "../../core/key/key-spec.js"
import { CHINA, KEY_SPECS, type KeySpec } from "../protocol/key-spec.js"
import { type Ber, der, derInteger, expectTag, integer, members, octets, readBer, TAG, toDer } from "./ber.js"
import { curveOf, fromBytes, multiplyBase } from "./curve.js"
import { recorded } from "../protocol/refusal.js"
import type { Plaintext } from "../state/material.js"

type Read = (bytes: Buffer, keySpec: KeySpec, partition: string) => Plaintext

const OID_RSA = Buffer.from("2a864886f70d010101", "hex")
const OID_EC = Buffer.from("2a8648ce3d0201", "hex")
const OID_ED25519 = Buffer.from("2b6570", "hex")

/** The longest HMAC key that can be imported; a longer one is to be hashed first. */
const MAX_HMAC_BYTES = 128

const raw = (bytes: Buffer): Plaintext => ({ secret: bytes, identity: bytes })

function check(holds: boolean, checked: string): asserts holds {
  if (!holds) throw new Error(checked)
}

const READERS: Readonly<Record<KeyFamily, Read>> = {
  aes(bytes, keySpec, partition) {
    // SM4 in China Regions
    check(bytes.length * 8 === (partition === CHINA ? 128 : KEY_SPECS[keySpec].bits), "length")
    return raw(bytes)
  },
  hmac(bytes, keySpec) {
    check(bytes.length * 8 >= KEY_SPECS[keySpec].bits && bytes.length <= MAX_HMAC_BYTES, "length")
    return raw(bytes)
  },
  rsa(bytes, keySpec) {
    const { algorithm, privateKey } = readPrivateKeyInfo(bytes, OID_RSA)
    check(algorithm?.tag === TAG.NULL && algorithm.bytes.length === 0, "parameters must be NULL")
    const numbers = members(readBer(privateKey)).map(integer)
    checkRsa(numbers, KEY_SPECS[keySpec].bits)
    const inner = der(TAG.SEQUENCE, ...numbers.map(derInteger))
    return fromPkcs8(privateKeyInfo([der(TAG.OID, OID_RSA), der(TAG.NULL)], inner))
  },
  ec(bytes, keySpec) {
    const { algorithm, privateKey } = readPrivateKeyInfo(bytes, OID_EC)
    const named = Buffer.from(KEY_SPECS[keySpec].ecParams ?? [])
    check(algorithm !== undefined && toDer(algorithm).equals(named), "named curve")
    const scalar = readEcPrivateKey(privateKey, keySpec, named)
    const inner = der(TAG.SEQUENCE, derInteger(1n), der(TAG.OCTET_STRING, scalar))
    return fromPkcs8(privateKeyInfo([der(TAG.OID, OID_EC), named], inner))
  },
  edwards(bytes) {
    const { algorithm, privateKey } = readPrivateKeyInfo(bytes, OID_ED25519)
    check(algorithm === undefined, "parameters must be absent (RFC 8410 section 3)")
    check(toDer(readBer(bytes)).equals(bytes), "the real service takes only DER here")
    const seed = readBer(privateKey)
    check(octets(expectTag(seed, TAG.OCTET_STRING)).length === 32, "length")
    check(toDer(seed).equals(privateKey), "the real service takes only DER here")
    return fromPkcs8(bytes)
  },
}

/** Reads unwrapped key material strictly; throws InvalidCiphertextException, as KMS does for material that it cannot read. */
export function readPlaintext(bytes: Buffer, keySpec: KeySpec, partition: string): Plaintext {
  try {
    return READERS[KEY_SPECS[keySpec].family](bytes, keySpec, partition)
  } catch {
    throw recorded.invalidCiphertext()
  }
}

/** PrivateKeyInfo of RFC 5208 section 5: SEQUENCE { 0, { OID, parameters? }, OCTET STRING, [0] attributes? }. */
function readPrivateKeyInfo(bytes: Buffer, oid: Buffer) {
  const [version, identifier, privateKey, attributes, ...unknown] = members(readBer(bytes))
  check(integer(version) === 0n, "version")
  check(unknown.length === 0 && (attributes === undefined || attributes.tag === TAG.CONTEXT_0), "unknown member")
  const [name, algorithm, ...unnamed] = members(identifier)
  check(expectTag(name, TAG.OID).bytes.equals(oid) && unnamed.length === 0, "algorithm")
  return { algorithm, privateKey: octets(expectTag(privateKey, TAG.OCTET_STRING)) }
}

const privateKeyInfo = (algorithm: readonly Buffer[], inner: Buffer) =>
  der(TAG.SEQUENCE, derInteger(0n), der(TAG.SEQUENCE, ...algorithm), der(TAG.OCTET_STRING, inner))

function fromPkcs8(secret: Buffer): Plaintext {
  const key = createPrivateKey({ key: secret, format: "der", type: "pkcs8" })
  return { secret, identity: createPublicKey(key).export({ format: "der", type: "spki" }) }
}

/** RSAPrivateKey of RFC 8017 appendix A.1.2 with two primes, whose numbers must fit each other. */
function checkRsa(numbers: readonly bigint[], bits: number): void {
  check(numbers.length === 9, "two primes")
  const [version, n = 0n, e = 0n, d = 0n, p = 0n, q = 0n, dp, dq, qInverse = 0n] = numbers
  check(version === 0n, "version")
  check(n.toString(2).length === bits, "modulus")
  check(e >= 3n && e % 2n === 1n && p > 1n && q > 1n && p * q === n, "primes")
  check((d * e) % (p - 1n) === 1n && (d * e) % (q - 1n) === 1n, "private exponent")
  check(dp === d % (p - 1n) && dq === d % (q - 1n) && (qInverse * q) % p === 1n, "CRT numbers")
}

/** The scalar of ECPrivateKey (RFC 5915 section 3), whose optional public point must be the scalar's own. */
function readEcPrivateKey(bytes: Buffer, keySpec: KeySpec, named: Buffer): Buffer {
  const [version, secret, ...optional] = members(readBer(bytes))
  check(integer(version) === 1n, "version")
  const curve = curveOf(keySpec)
  const scalar = octets(expectTag(secret, TAG.OCTET_STRING))
  const value = fromBytes(scalar)
  check(scalar.length === curve.size && value > 0n && value < curve.order, "scalar")
  const tags = optional.map((member) => member.tag)
  check(
    tags.every((tag, i) => OPTIONAL_EC.includes(tag) && tag > (tags[i - 1] ?? 0)),
    "unknown member",
  )
  for (const { tag, children } of optional) {
    const [only, ...surplus] = children ?? []
    check(only !== undefined && surplus.length === 0, "one value")
    if (tag === TAG.CONTEXT_0) check(toDer(only).equals(named), "named curve")
    if (tag === TAG.CONTEXT_1) check(pointOf(only, curve.name).equals(multiplyBase(curve, value)), "public point")
  }
  return scalar
}

const OPTIONAL_EC: readonly number[] = [TAG.CONTEXT_0, TAG.CONTEXT_1]

function pointOf(value: Ber, curve: string): Buffer {
  const { bytes, children } = expectTag(value, TAG.BIT_STRING)
  check(children === undefined && bytes[0] === 0, "bit string")
  return Buffer.from(ECDH.convertKey(bytes.subarray(1), curve, undefined, undefined, "uncompressed") as Buffer)
}
