import { KeyferryError } from "../core/base/error.js"
import type { Kms } from "../core/ports/kms.js"
import type { Resources } from "./resources.js"

/** Opens KMS as the target says, in its Region or in another. */
export type OpenKms = (region?: string) => Promise<Kms & Disposable>

/** KMS of other Regions, each opened when it is first asked for and closed with everything else. */
export function regions(own: Kms | null, open: OpenKms | null, owned: Resources): (region: string) => Promise<Kms> {
  const opened = new Map<string, Promise<Kms>>()
  return async (region) => {
    if (own === null || open === null) throw new KeyferryError("ERR_BUG", "KMS was asked for and is not there")
    if (region === own.region) return own
    const kms =
      opened.get(region) ??
      open(region).then((one) => {
        owned.add(one)
        return one
      })
    opened.set(region, kms)
    return await kms
  }
}
