import { KeyferryError } from "../../core/base/error.js"
import type { Manifest } from "../../core/manifest/manifest.js"

/**
 * What the configuration says of a name whose KMS key somebody else made; null where it says nothing of that.
 *
 * @throws ERR_USAGE where `--key-id` names another KMS key
 */
export function keyOfOthers(
  manifest: Manifest | null,
  name: string,
  keyId?: string,
): { readonly keyArn: string; readonly tagKey: boolean } | null {
  const key = manifest !== null && Object.hasOwn(manifest.keys, name) ? manifest.keys[name] : undefined
  if (key === undefined || key.keyArn === null) return null
  const { keyArn, tagKey } = key
  if (keyId === undefined || keyId === keyArn) return { keyArn, tagKey }
  throw new KeyferryError("ERR_USAGE", `--key-id is ${keyId}, and the configuration says keyArn ${keyArn} of ${name}`)
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
