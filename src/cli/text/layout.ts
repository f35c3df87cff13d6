/** How the text of a result is laid out. */
export interface Layout {
  /** Columns of the terminal, in which every line of a table fits; undefined where stdout is none: nothing is cut. */
  readonly width: number | undefined
  /** Every column, and nothing cut. */
  readonly wide: boolean
  /** Errors and warnings alone. */
  readonly quiet: boolean
}

/** Of a terminal that does not tell. */
const USUAL_WIDTH = 80

/** A pipe gets whole cells, unless COLUMNS is in its environment. */
export function layoutOf(
  args: Readonly<Record<string, unknown>>,
  stdout: { readonly isTTY?: boolean; readonly columns?: number },
  env: Readonly<Record<string, string | undefined>>,
): Layout {
  const fixedWidth = /^[1-9]\d{0,3}$/.test(env["COLUMNS"] ?? "") ? Number(env["COLUMNS"]) : undefined
  // a serial line says that it has none
  const terminalWidth = stdout.columns === 0 ? undefined : stdout.columns
  const width = stdout.isTTY === true ? (terminalWidth ?? fixedWidth ?? USUAL_WIDTH) : fixedWidth
  return { width, wide: args["output"] === "wide", quiet: args["quiet"] === true }
}

/** What was done, which is no error and no warning. */
export function unlessQuiet(text: (layout: Layout) => string): (layout: Layout) => string {
  return (layout) => (layout.quiet ? "" : text(layout))
}

/** Where nothing is said. */
export const PLAIN: Layout = { width: undefined, wide: false, quiet: false }
