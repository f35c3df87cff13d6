import { createECDH } from "node:crypto"
import type { KeySpec } from "../protocol/key-spec.js"

/** Key specs whose curve is in short Weierstrass form: one of them without its row here does not compile. */
type EcKeySpec = Exclude<Extract<KeySpec, `ECC_${string}`>, "ECC_NIST_EDWARDS25519"> | "SM2"

interface CurveRow {
  /** Name in OpenSSL. */
  readonly name: string
  /** Order of the base point (SEC 2 version 2; FIPS 186-4 appendix D.1.2; GB/T 32918.5). */
  readonly order: bigint
  /** The one `SigningAlgorithmSpec` that KMS takes for it. */
  readonly signing: "ECDSA_SHA_256" | "ECDSA_SHA_384" | "ECDSA_SHA_512" | "SM2DSA"
}

const CURVES: Readonly<Record<EcKeySpec, CurveRow>> = {
  ECC_NIST_P256: {
    name: "prime256v1",
    order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    signing: "ECDSA_SHA_256",
  },
  ECC_NIST_P384: {
    name: "secp384r1",
    order: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
    signing: "ECDSA_SHA_384",
  },
  ECC_NIST_P521: {
    name: "secp521r1",
    order:
      0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
    signing: "ECDSA_SHA_512",
  },
  ECC_SECG_P256K1: {
    name: "secp256k1",
    order: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
    signing: "ECDSA_SHA_256",
  },
  SM2: {
    name: "SM2",
    order: 0xfffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123n,
    signing: "SM2DSA",
  },
}

export interface Curve extends CurveRow {
  /** Bytes of a scalar. */
  readonly size: number
}

/** The short Weierstrass curve of a key spec; throws for any other key spec. */
export function curveOf(keySpec: KeySpec): Curve {
  const row = isEcKeySpec(keySpec) ? CURVES[keySpec] : undefined
  if (row === undefined) throw new Error(`${keySpec} has no curve`)
  return { ...row, size: Math.ceil(row.order.toString(16).length / 2) }
}

const isEcKeySpec = (keySpec: KeySpec): keySpec is EcKeySpec => Object.hasOwn(CURVES, keySpec)

export const fromBytes = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString("hex") || "0"}`)

export const toBytes = (value: bigint, size: number): Buffer =>
  Buffer.from(value.toString(16).padStart(size * 2, "0"), "hex")

/** The uncompressed point `scalar * G`: 04 || x || y. */
export function multiplyBase(curve: Curve, scalar: bigint): Buffer {
  const ecdh = createECDH(curve.name)
  ecdh.setPrivateKey(toBytes(scalar, curve.size))
  return ecdh.getPublicKey()
}
