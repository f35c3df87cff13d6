import { KeyferryError } from "../../core/base/error.js"
import type { Manifest } from "../../core/manifest/manifest.js"
import type { InventoryEntry } from "../../core/records/inventory.js"

/**
 * What the configuration says of a name whose KMS key somebody else made; null where it says nothing of that.
 *
 * @throws ERR_USAGE where `--key-id` names another KMS key
 */
export function keyOfOthers(
  manifest: Manifest | null,
  name: string,
  keyId?: string,
): { readonly keyArn: string; readonly tagKey: boolean; readonly multiRegion: boolean } | null {
  const key = manifest !== null && Object.hasOwn(manifest.keys, name) ? manifest.keys[name] : undefined
  if (key === undefined || key.keyArn === null) return null
  const { keyArn, tagKey, multiRegion } = key
  if (keyId === undefined || keyId === keyArn) return { keyArn, tagKey, multiRegion }
  throw new KeyferryError("ERR_USAGE", `--key-id is ${keyId}, and the configuration says keyArn ${keyArn} of ${name}`)
}

/**
 * A name whose KMS key the configuration changed stands for neither: what is to be done to the one is not done to the other.
 *
 * @throws ERR_NAME_TAKEN
 */
export function refuseOtherKeyArn(
  manifest: Manifest | null,
  { name, keyArn }: Pick<InventoryEntry, "name" | "keyArn">,
): void {
  const theirs = keyOfOthers(manifest, name)
  if (theirs === null || keyArn === null || keyArn === theirs.keyArn) return
  throw new KeyferryError(
    "ERR_NAME_TAKEN",
    `the name ${name} stands for ${keyArn}, and its keyArn in the configuration is ${theirs.keyArn}`,
    { key: name, hint: "set keyArn as it was, or give the other KMS key a name of its own" },
  )
}

/** A command that makes a KMS key of its own is not for a name whose KMS key is somebody else's. @throws ERR_USAGE */
export function refuseMaking(manifest: Manifest | null, name: string, hint: string): void {
  const key = keyOfOthers(manifest, name)
  if (key === null) return
  throw new KeyferryError("ERR_USAGE", `${name} has the KMS key that its keyArn names, which keyferry does not make`, {
    key: key.keyArn,
    hint: hint.replace("ARN", key.keyArn),
  })
}
