import { KeyferryError } from "../base/error.js"
import type { TokenInfo } from "./token-info.js"

/** A token, or a role in it, that may not write. */
export interface WriteProtectable {
  readonly info: TokenInfo
  /** In words: why no token object can be made, changed or destroyed; null where nothing is known to stand against it. */
  readonly writeProtection: string | null
}

/**
 * Refuses, before anything is made, what is about to make, change or destroy a token object.
 *
 * @param deed what that is, to follow "needs to write": `the source key of payments`
 * @throws ERR_TOKEN_WRITE_PROTECTED
 */
export function refuseWrite({ info, writeProtection }: WriteProtectable, deed: string, key?: string): void {
  if (writeProtection === null) return
  throw new KeyferryError(
    "ERR_TOKEN_WRITE_PROTECTED",
    `${deed} needs to write to token "${info.label}", which is write-protected (${writeProtection})`,
    key === undefined ? {} : { key },
  )
}
