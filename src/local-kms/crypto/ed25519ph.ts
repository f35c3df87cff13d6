import { createHash, type KeyObject } from "node:crypto"

/**
 * Ed25519ph (RFC 8032 section 5.1), which node:crypto has not: KMS' ED25519_PH_SHA_512. Neither fast nor safe from who
 * measures its time: for tests.
 */

const P = 2n ** 255n - 19n
/** Order of the base point. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n
const D = modulo(-121665n * inverse(121666n))
const SQRT_MINUS_1 = power(2n, (P - 1n) / 4n)

/** Extended homogeneous coordinates: x = X/Z, y = Y/Z, x * y = T/Z. */
interface Point {
  readonly x: bigint
  readonly y: bigint
  readonly z: bigint
  readonly t: bigint
}

const NEUTRAL: Point = { x: 0n, y: 1n, z: 1n, t: 0n }
const BASE = decode(Buffer.from("5866666666666666666666666666666666666666666666666666666666666666", "hex")) ?? NEUTRAL

function modulo(value: bigint, modulus = P): bigint {
  const remainder = value % modulus
  return remainder < 0n ? remainder + modulus : remainder
}

function power(base: bigint, exponent: bigint): bigint {
  let product = 1n
  for (let square = base, bits = exponent; bits > 0n; bits >>= 1n, square = modulo(square * square)) {
    if (bits & 1n) product = modulo(product * square)
  }
  return product
}

function inverse(value: bigint): bigint {
  return power(modulo(value), P - 2n)
}

function add(point1: Point, point2: Point): Point {
  const a = modulo((point1.y - point1.x) * (point2.y - point2.x))
  const b = modulo((point1.y + point1.x) * (point2.y + point2.x))
  const c = modulo(2n * D * point1.t * point2.t)
  const d = modulo(2n * point1.z * point2.z)
  const [e, f, g, h] = [b - a, d - c, d + c, b + a]
  return { x: modulo(e * f), y: modulo(g * h), z: modulo(f * g), t: modulo(e * h) }
}

function multiply(point: Point, scalar: bigint): Point {
  let sum = NEUTRAL
  for (let double = point, bits = scalar; bits > 0n; bits >>= 1n, double = add(double, double)) {
    if (bits & 1n) sum = add(sum, double)
  }
  return sum
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString("hex") || "0"}`)
}

function toBytes(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse()
}

function encode({ x, y, z }: Point): Buffer {
  const [affineX, affineY] = [modulo(x * inverse(z)), modulo(y * inverse(z))]
  return toBytes(affineY | ((affineX & 1n) << 255n))
}

/** RFC 8032 section 5.1.3; undefined for what is no point. */
function decode(bytes: Uint8Array): Point | undefined {
  const number = littleEndian(bytes)
  const [sign, y] = [number >> 255n, number & (2n ** 255n - 1n)]
  if (y >= P) return undefined
  const [u, v] = [modulo(y * y - 1n), modulo(D * y * y + 1n)]
  let x = modulo(u * v ** 3n * power(modulo(u * v ** 7n), (P - 5n) / 8n))
  if (modulo(v * x * x) === modulo(-u)) x = modulo(x * SQRT_MINUS_1)
  if (modulo(v * x * x) !== u || (x === 0n && sign === 1n)) return undefined
  if ((x & 1n) !== sign) x = P - x
  return { x, y, z: 1n, t: modulo(x * y) }
}

const DOM2 = Buffer.concat([Buffer.from("SigEd25519 no Ed25519 collisions"), Buffer.from([1, 0])])

const hash = (...parts: readonly Uint8Array[]): Buffer => {
  const sha512 = createHash("sha512").update(DOM2)
  for (const part of parts) sha512.update(part)
  return sha512.digest()
}

/** Signature of 64 bytes over a SHA-512 digest. */
export function signEd25519ph(privateKey: KeyObject, digest: Uint8Array): Buffer {
  const { d = "" } = privateKey.export({ format: "jwk" })
  const expanded = createHash("sha512").update(Buffer.from(d, "base64url")).digest()
  const clamped = Buffer.from(expanded.subarray(0, 32))
  clamped[0] = (clamped[0] ?? 0) & 248
  clamped[31] = ((clamped[31] ?? 0) & 127) | 64
  const secret = littleEndian(clamped)
  const nonce = modulo(littleEndian(hash(expanded.subarray(32), digest)), L)
  const commitment = encode(multiply(BASE, nonce))
  const challenge = modulo(littleEndian(hash(commitment, encode(multiply(BASE, secret)), digest)), L)
  return Buffer.concat([commitment, toBytes(modulo(nonce + challenge * secret, L))])
}

export function verifyEd25519ph(publicKey: KeyObject, digest: Uint8Array, signature: Uint8Array): boolean {
  const key = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url")
  const point = decode(key)
  const response = littleEndian(signature.subarray(32))
  if (signature.length !== 64 || point === undefined || response >= L) return false
  const commitment = signature.subarray(0, 32)
  const challenge = modulo(littleEndian(hash(commitment, key, digest)), L)
  const negated = { ...point, x: modulo(-point.x), t: modulo(-point.t) }
  return encode(add(multiply(BASE, response), multiply(negated, challenge))).equals(commitment)
}
