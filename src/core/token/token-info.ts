/** CK_TOKEN_INFO and CK_INFO, trimmed; `library` is the description and version of the module. */
export interface TokenInfo {
  readonly label: string
  readonly serial: string
  readonly manufacturer: string
  readonly model: string
  readonly firmwareVersion: string
  readonly library: string
}

type Which = Pick<TokenInfo, "label" | "serial">

/** Whether both are one token: its label and serial, since firmware and library may be renewed. */
export const sameToken = (one: Which, other: Which): boolean => one.label === other.label && one.serial === other.serial
