/** CK_TOKEN_INFO and CK_INFO, trimmed; `library` is the description and version of the module. */
export interface TokenInfo {
  readonly label: string
  readonly serial: string
  readonly manufacturer: string
  readonly model: string
  readonly firmwareVersion: string
  readonly library: string
}
