/** CK_INFO, CK_SLOT_INFO and CK_TOKEN_INFO are padded with blanks; some modules pad with zero bytes. */
export function trim(text: string): string {
  return text.replace(/[\0 ]+$/, "")
}

export function version({ major, minor }: { readonly major: number; readonly minor: number }): string {
  return `${major}.${minor}`
}
