import { randomBytes } from "node:crypto"
import { der, derInteger, integer, members, readBer, TAG } from "./ber.js"
import { type Curve, fromBytes, multiplyBase } from "./curve.js"

export interface EcdsaKey {
  readonly curve: Curve
  /** The private key. */
  readonly scalar: bigint
}

/** The inverse modulo a prime, by the extended Euclidean algorithm. */
function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [value % modulus, modulus, 1n, 0n]
  while (a > 1n) {
    const quotient = b / a
    ;[a, b, x, y] = [b - quotient * a, a, y - quotient * x, x]
  }
  return ((x % modulus) + modulus) % modulus
}

/** The leftmost bits of a digest, as many as the order has (FIPS 186-4 section 6.4). */
function leftmost(curve: Curve, digest: Buffer): bigint {
  const excess = digest.length * 8 - curve.order.toString(2).length
  const value = fromBytes(digest)
  return excess > 0 ? value >> BigInt(excess) : value
}

function randomScalar(curve: Curve): bigint {
  // the extra bytes make the bias of the remainder negligible
  return (fromBytes(randomBytes(curve.size + 8)) % (curve.order - 1n)) + 1n
}

/** The x coordinate of `scalar * G`, modulo the order. */
function xOf(curve: Curve, scalar: bigint): bigint {
  const point = multiplyBase(curve, scalar)
  return fromBytes(point.subarray(1, 1 + (point.length - 1) / 2)) % curve.order
}

/** ECDSA of a digest, DER; node:crypto signs only together with the hashing. Not constant in time: keys here are for tests. */
export function signEcdsa({ curve, scalar }: EcdsaKey, digest: Buffer): Buffer {
  for (;;) {
    const k = randomScalar(curve)
    const r = xOf(curve, k)
    const s = (inverse(k, curve.order) * (leftmost(curve, digest) + r * scalar)) % curve.order
    if (r !== 0n && s !== 0n) return der(TAG.SEQUENCE, derInteger(r), derInteger(s))
  }
}

/** Verifies with the private scalar, which saves adding points: u1 G + u2 Q = (u1 + u2 d) G. */
export function verifyEcdsa({ curve, scalar }: EcdsaKey, digest: Buffer, signature: Buffer): boolean {
  const numbers = members(readBer(signature)).map(integer)
  const [r = 0n, s = 0n] = numbers
  const inRange = [r, s].every((value) => value > 0n && value < curve.order)
  if (!inRange || numbers.length > 2) return false
  const w = inverse(s, curve.order)
  const product = ((leftmost(curve, digest) + r * scalar) * w) % curve.order
  return product !== 0n && xOf(curve, product) === r
}
