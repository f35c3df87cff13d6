import type { Tag } from "@aws-sdk/client-kms"
import { type Site, type Target, TARGETS } from "./site.js"

/** A KMS key, as KMS shows it to anybody but keyferry. */
export interface SeenKey {
  readonly target: Target
  readonly keyId: string
  readonly name: string
  readonly replaced: boolean
  readonly state: string
  readonly validTo: Date | undefined
}

export interface SeenMaterial {
  /** Imported and not rotated in yet. */
  readonly pending: boolean
  readonly imported: boolean
  readonly validTo: Date | undefined
}

/** Looks at KMS through the SDK alone, and remembers what it must still hold. */
export interface Witness {
  /** Every day: what is wrong now, in words. */
  look(): Promise<readonly string[]>
  keys(): Promise<readonly SeenKey[]>
  materials(key: SeenKey): Promise<readonly SeenMaterial[]>
  /** From now on the key may lose its material; once it has, it must not come back. */
  expectDeletion(name: string): void
  /** What was encrypted when each key was first seen, and what KMS says of it now: words for those that do not open. */
  decryptAll(): Promise<readonly string[]>
}

/** How much later or earlier than reckoned an expiry may be. */
const SLACK_MS = 3_600_000

interface Kept {
  readonly key: SeenKey
  readonly secret: string
  readonly ciphertext: Uint8Array
}

/** @param lifeMs how long material is imported for */
export function witnessOf({ sdk, now, day }: Site, lifeMs: number): Witness {
  const ends = new Map<string, Date>()
  const kept = new Map<string, Kept>()
  const toBeDeleted = new Set<string>()
  const deleted = new Set<string>()

  const keysOf = async (target: Target): Promise<readonly SeenKey[]> => {
    const { Keys = [] } = await sdk[target].listKeys({ Limit: 1000 })
    return await Promise.all(
      Keys.map(async ({ KeyId = "" }) => {
        const { KeyMetadata } = await sdk[target].describeKey({ KeyId })
        const { Tags = [] } = await sdk[target].listResourceTags({ KeyId })
        const tag = (name: string): Tag | undefined => Tags.find(({ TagKey }) => TagKey === name)
        return {
          target,
          keyId: KeyId,
          name: tag("keyferry:name")?.TagValue ?? "",
          replaced: tag("keyferry:replaced-by") !== undefined,
          state: KeyMetadata?.KeyState ?? "",
          validTo: KeyMetadata?.ValidTo,
        }
      }),
    )
  }
  const keys = async (): Promise<readonly SeenKey[]> => (await Promise.all(TARGETS.map(keysOf))).flat()

  const keep = async (key: SeenKey): Promise<void> => {
    const secret = `${key.name} on day ${day()}`
    const { CiphertextBlob } = await sdk[key.target].encrypt({ KeyId: key.keyId, Plaintext: Buffer.from(secret) })
    kept.set(key.keyId, { key, secret, ciphertext: CiphertextBlob ?? new Uint8Array() })
  }

  return {
    keys,
    expectDeletion: (name) => toBeDeleted.add(name),
    async look() {
      const wrong: string[] = []
      const time = await now()
      for (const key of await keys()) {
        const { name, target, keyId, state, validTo } = key
        const isThere = state === "Enabled" && validTo !== undefined && validTo > time
        const said = `day ${day()}: ${name} in ${target} (${keyId}) is ${state} until ${validTo?.toISOString() ?? "never"}`
        if (deleted.has(keyId) && isThere) wrong.push(`${said}, though it was deleted on purpose`)
        if (toBeDeleted.has(name) && !isThere) deleted.add(keyId)
        if (kept.has(keyId) && !toBeDeleted.has(name) && !isThere) wrong.push(`${said}, though it could be saved`)
        if (!kept.has(keyId) && isThere) await keep(key)
        if (!isThere) continue
        const before = ends.get(keyId)
        if (before !== undefined && validTo.getTime() < before.getTime() - SLACK_MS) {
          wrong.push(`${said}, and was to live until ${before.toISOString()}`)
        }
        if (validTo.getTime() > time.getTime() + lifeMs + SLACK_MS)
          wrong.push(`${said}, which is longer than asked for`)
        ends.set(keyId, validTo)
      }
      return wrong
    },
    async materials({ target, keyId }) {
      const { Rotations = [] } = await sdk[target].listKeyRotations({
        KeyId: keyId,
        IncludeKeyMaterial: "ALL_KEY_MATERIAL",
      })
      return Rotations.map(({ KeyMaterialState, ImportState, ValidTo }) => ({
        pending: KeyMaterialState !== "CURRENT" && KeyMaterialState !== "NON_CURRENT",
        imported: ImportState === "IMPORTED",
        validTo: ValidTo,
      }))
    },
    async decryptAll() {
      const wrong: string[] = []
      for (const { key, secret, ciphertext } of kept.values()) {
        if (toBeDeleted.has(key.name)) continue
        try {
          const { Plaintext } = await sdk[key.target].decrypt({ CiphertextBlob: ciphertext })
          if (Buffer.from(Plaintext ?? []).toString() !== secret) wrong.push(`${key.name} decrypts to something else`)
        } catch (error) {
          wrong.push(`${key.name} in ${key.target} does not decrypt: ${String(error)}`)
        }
      }
      return wrong
    },
  }
}
