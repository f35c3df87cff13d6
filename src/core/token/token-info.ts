import { KeyferryError } from "../base/error.js"

/** CK_TOKEN_INFO and CK_INFO, trimmed; `library` is the description and version of the module. */
export interface TokenInfo {
  readonly label: string
  readonly serial: string
  readonly manufacturer: string
  readonly model: string
  readonly firmwareVersion: string
  readonly library: string
}

type TokenIdentity = Pick<TokenInfo, "label" | "serial">

/**
 * Whether both are one token: its label and serial. Firmware, library and what they call manufacturer or model may be
 * renewed while the objects stay.
 */
export const sameToken = (recorded: TokenIdentity, present: TokenIdentity): boolean =>
  recorded.label === present.label && recorded.serial === present.serial

/**
 * A source key lives in one token: a name that stands for a key of another token is not that name's key here.
 * Where no token was written down of the key yet, none is refused.
 *
 * @throws ERR_NAME_TAKEN
 */
export function refuseOtherToken(
  { name, token }: { readonly name: string; readonly token: TokenInfo | null },
  present: TokenInfo,
): void {
  if (token === null || sameToken(token, present)) return
  throw new KeyferryError(
    "ERR_NAME_TAKEN",
    `the source key of ${name} is in token "${token.label}" (serial ${token.serial}), not in "${present.label}"`,
    {
      hint: `name that token with --token; if this one is its backup, \`keyferry rewrap ${name}\` takes it for that; if it is lost, restore it from its backup, or \`keyferry replace\` the key while KMS has its material`,
    },
  )
}
