import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto"
import { documented, recorded } from "../protocol/refusal.js"
import type { WrappingAlgorithm } from "./unwrap.js"

/** What an import token binds together. */
export interface ImportGrant {
  readonly keyArn: string
  readonly wrappingKeyId: string
  readonly algorithm: WrappingAlgorithm
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

/** Import tokens and public keys live for a day. */
export const GRANT_LIFETIME = 24 * 3600 * 1000

const IV_BYTES = 12
const TAG_BYTES = 16

/** Seals a grant: `iv || AES-256-GCM(grant) || tag`, which nobody else can read, change or make. */
export function sealToken(secret: string, grant: ImportGrant): Buffer {
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv("aes-256-gcm", Buffer.from(secret, "hex"), iv)
  return Buffer.concat([iv, cipher.update(JSON.stringify(grant)), cipher.final(), cipher.getAuthTag()])
}

/**
 * Opens an import token for a key. Throws InvalidImportTokenException if it was changed or belongs to another key,
 * ExpiredImportTokenException after a day.
 */
export function openToken(secret: string, token: Buffer, keyArn: string, now: number): ImportGrant {
  const grant = unseal(secret, token)
  if (grant?.keyArn !== keyArn) throw recorded.invalidImportToken()
  if (grant.expiresAt <= now) throw documented.expiredImportToken()
  return grant
}

function unseal(secret: string, token: Buffer): ImportGrant | undefined {
  if (token.length <= IV_BYTES + TAG_BYTES) return undefined
  const decipher = createDecipheriv("aes-256-gcm", Buffer.from(secret, "hex"), token.subarray(0, IV_BYTES))
  decipher.setAuthTag(token.subarray(-TAG_BYTES))
  try {
    const text = Buffer.concat([decipher.update(token.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()])
    return JSON.parse(text.toString()) as ImportGrant
  } catch {
    return undefined
  }
}
