import { createPublicKey } from "node:crypto"
import { KeyferryError } from "../../core/base/error.js"
import { KEY_SPECS, type KeySpec } from "../../core/key/key-spec.js"
import { CKA } from "../cryptoki/attributes.js"
import { getAttribute, type Handle, type Session } from "../cryptoki/calls.js"

/**
 * SubjectPublicKeyInfo, DER, of a public key object (RFC 8017 A.1, RFC 5480, RFC 8410), built by OpenSSL from the
 * object's modulus and exponent or point, which it checks to be on the curve.
 *
 * @throws ERR_TOKEN_OTHER where the token's public key is not one of the key spec
 */
export function publicKeyOf(session: Session, object: Handle, keySpec: KeySpec): Uint8Array {
  const { jwkCurve, bits } = KEY_SPECS[keySpec]
  const read = (name: "modulus" | "publicExponent" | "ecPoint"): Buffer =>
    getAttribute(session, object, CKA[name]) ?? Buffer.alloc(0)
  try {
    const jwk =
      jwkCurve === undefined
        ? { kty: "RSA", n: base64url(withoutZeros(read("modulus"))), e: base64url(read("publicExponent")) }
        : pointJwk(jwkCurve, bits, read("ecPoint"))
    return createPublicKey({ format: "jwk", key: jwk }).export({ format: "der", type: "spki" })
  } catch (cause) {
    if (cause instanceof KeyferryError) throw cause
    throw new KeyferryError("ERR_TOKEN_OTHER", `the token's public key object is no ${keySpec} key`, { cause })
  }
}

function pointJwk(curve: string, bits: number, value: Buffer): Record<string, string> {
  const bytes = Math.ceil(bits / 8)
  if (curve === "Ed25519") {
    return { kty: "OKP", crv: curve, x: base64url(withoutOctetString(value, bytes)) }
  }
  const point = withoutOctetString(value, 2 * bytes + 1)
  if (point[0] !== 0x04 || point.length !== 2 * bytes + 1) throw new Error("not an uncompressed point")
  return { kty: "EC", crv: curve, x: base64url(point.subarray(1, bytes + 1)), y: base64url(point.subarray(bytes + 1)) }
}

/** CKA_EC_POINT is the DER of an OCTET STRING (PKCS #11 v3.1 section 6.3.3); some tokens give the bare point. */
function withoutOctetString(value: Buffer, bytes: number): Buffer {
  if (value.length === bytes) return value
  const header = bytes < 0x80 ? Buffer.from([0x04, bytes]) : Buffer.from([0x04, 0x81, bytes])
  if (!value.subarray(0, header.length).equals(header)) throw new Error("neither a point nor an OCTET STRING")
  return value.subarray(header.length)
}

/** A big integer without the leading zero bytes that some tokens add. */
export function withoutZeros(value: Buffer): Buffer {
  const start = value.findIndex((byte) => byte !== 0)
  return start < 0 ? Buffer.alloc(0) : value.subarray(start)
}

function base64url(value: Buffer): string {
  return value.toString("base64url")
}
