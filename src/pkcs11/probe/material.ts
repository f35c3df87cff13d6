import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto"
import { KEY_SPECS, type KeySpec } from "../../core/key/key-spec.js"

const PADS = "pads the value with zero bytes before wrapping"

/** AlgorithmIdentifier, DER, that a PKCS #8 of the family must have (RFC 8017 A.1, RFC 5480, RFC 8410). */
function algorithmIdentifier(keySpec: KeySpec): Buffer {
  const { ecParams, jwkCurve } = KEY_SPECS[keySpec]
  if (!ecParams) return Buffer.from("300d06092a864886f70d0101010500", "hex")
  const parts = jwkCurve === "Ed25519" ? [ecParams] : [Buffer.from("06072a8648ce3d0201", "hex"), ecParams]
  const content = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([0x30, content.length]), content])
}

/** What is wrong with the length of an opened secret key, in words; null for nothing. */
export function secretLengthFlaw(value: Buffer, keySpec: KeySpec): string | null {
  const expected = KEY_SPECS[keySpec].bits / 8
  if (value.length === expected) return null
  if (value.length > expected && value.subarray(expected).every((byte) => byte === 0)) return PADS
  return `gives ${value.length} bytes instead of ${expected}`
}

/**
 * What is wrong with an opened private key, in words; null for nothing. KMS takes PKCS #8 of exactly its DER length,
 * with the curve named, two primes, and for Ed25519 the 48 bytes of RFC 8410; it must be the pair's own private key.
 */
export function privateKeyFlaw(value: Buffer, keySpec: KeySpec, spki: Uint8Array): string | null {
  const outer = element(value, 0)
  if (outer?.tag !== 0x30) return "gives something that is not DER"
  if (outer.end > value.length) return "cuts the PKCS #8 short"
  if (outer.end < value.length) {
    const surplus = value.subarray(outer.end)
    return surplus.every((byte) => byte === 0) ? PADS : `adds ${surplus.length} bytes after the PKCS #8`
  }
  const version = element(value, outer.start)
  const algorithm = version && element(value, version.end)
  const inner = algorithm && element(value, algorithm.end)
  if (version?.tag !== 0x02 || algorithm?.tag !== 0x30 || inner?.tag !== 0x04) {
    return otherFormat(value) ?? "gives something that is not PKCS #8"
  }
  if (!value.subarray(version.end, algorithm.end).equals(algorithmIdentifier(keySpec))) {
    return "gives a PKCS #8 of another algorithm, or with the curve spelled out"
  }
  const { family, bits } = KEY_SPECS[keySpec]
  // RFC 8410 section 7: version 0, no attributes, an OCTET STRING of 32 bytes inside the OCTET STRING
  if (family === "edwards" && (value.length !== 48 || value[inner.start] !== 0x04)) {
    return `gives a malformed PKCS #8 of ${value.length} bytes (RFC 8410 has 48)`
  }
  const key = privateKey(value)
  if (!key) return "gives a PKCS #8 that does not parse"
  if (family === "rsa" && !hasTwoPrimes(value, inner.start)) return "gives an RSA key of more than two primes"
  if (family === "rsa" && key.asymmetricKeyDetails?.modulusLength !== bits) return "gives an RSA key of another length"
  const isTheSame = createPublicKey(key).export({ format: "der", type: "spki" }).equals(spki)
  return isTheSame ? null : "gives another key than the one to be wrapped"
}

/**
 * What is wrong with the length of an opened EC private key's scalar, in words; null for nothing, and for every other
 * family. RFC 5915 section 3 wants ⌈log2(n)/8⌉ bytes; OpenSSL reads other lengths, what KMS makes of them is not known.
 */
export function scalarFlaw(value: Buffer, keySpec: KeySpec): string | null {
  const { family, bits } = KEY_SPECS[keySpec]
  if (family !== "ec") return null
  const [expected, length] = [Math.ceil(bits / 8), scalarOf(value)?.length ?? 0]
  if (length === expected) return null
  const deed = length < expected ? "drops leading zero bytes of" : "adds a zero byte to"
  return `${deed} an EC private key's scalar (${length} bytes of ${keySpec}; RFC 5915 has ${expected})`
}

/** ECPrivateKey.privateKey of an EC PKCS #8 (RFC 5915 section 3); undefined where there is none. */
export function scalarOf(value: Buffer): Buffer | undefined {
  const outer = element(value, 0)
  const version = outer && element(value, outer.start)
  const algorithm = version && element(value, version.end)
  const inner = algorithm && element(value, algorithm.end)
  const sequence = inner && element(value, inner.start)
  const one = sequence && element(value, sequence.start)
  const scalar = one && element(value, one.end)
  return scalar?.tag === 0x04 ? value.subarray(scalar.start, scalar.end) : undefined
}

/** RSAPrivateKey.version is 0 (RFC 8017 A.1.2). */
function hasTwoPrimes(value: Buffer, offset: number): boolean {
  const sequence = element(value, offset)
  return sequence?.tag === 0x30 && value.subarray(sequence.start, sequence.start + 3).equals(Buffer.from([2, 1, 0]))
}

function otherFormat(value: Buffer): string | null {
  for (const [type, name, keyType] of [
    ["pkcs1", "PKCS #1", "rsa"],
    ["sec1", "SEC 1", "ec"],
  ] as const) {
    try {
      const key = createPrivateKey({ key: value, format: "der", type })
      // some versions of Node.js take each of the two for the other
      if (key.asymmetricKeyType === keyType) return `gives ${name} instead of PKCS #8`
    } catch {
      // the next one
    }
  }
  return null
}

/**
 * A module that binds to Node's OpenSSL may leave an error in its queue, at which the next createPrivateKey fails
 * although the key is fine (SoftHSM 2.6.1 after a failing call); the second try tells.
 */
function privateKey(value: Buffer): KeyObject | undefined {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      return createPrivateKey({ key: value, format: "der", type: "pkcs8" })
    } catch {
      // judged by the second try
    }
  }
  return undefined
}

/** One DER element (X.690 section 8.1): its tag and where its content starts and ends; undefined where none is. */
function element(value: Buffer, offset: number): { tag: number; start: number; end: number } | undefined {
  const tag = value[offset]
  const lengthOctet = value[offset + 1]
  if (tag === undefined || lengthOctet === undefined) return undefined
  if (lengthOctet < 0x80) return { tag, start: offset + 2, end: offset + 2 + lengthOctet }
  const count = lengthOctet & 0x7f
  if (count < 1 || count > 4 || offset + 2 + count > value.length) return undefined
  const start = offset + 2 + count
  return { tag, start, end: start + value.readUIntBE(offset + 2, count) }
}
