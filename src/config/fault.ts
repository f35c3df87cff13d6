import { KeyferryError } from "../core/base/error.js"

/** One thing that is wrong with the configuration file, and where: keys of mappings and places in lists. */
export interface Fault {
  readonly path: readonly (string | number)[]
  /** To follow the path: `is missing`. Never a value, which may be a PIN in the wrong place. */
  readonly message: string
  /** Line and column where the path does not lead to it; both count from 1. */
  readonly at?: { readonly line: number; readonly column: number }
}

/** `keys.payments.targets[0]`; a name with a dot stands in brackets. */
export function pathText(path: Fault["path"]): string {
  const parts = path.map((part) => {
    if (typeof part === "number") return `[${part}]`
    return /^[\w-]+$/.test(part) ? `.${part}` : `[${JSON.stringify(part)}]`
  })
  return parts.join("").replace(/^\./, "")
}

/** What a check of core says, without the name of what it checked: the path says that. */
export function errorMessage(error: unknown): string {
  if (!(error instanceof KeyferryError)) throw error
  return error.message.replace(/^the token URI /, "")
}
