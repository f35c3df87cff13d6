import { readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { z } from "zod"

/** What Node writes to NODE_V8_COVERAGE, as far as it is read here. */
const COVERAGE = z.object({
  result: z.array(
    z.object({
      url: z.string(),
      functions: z.array(
        z.object({
          ranges: z.array(z.object({ startOffset: z.number(), endOffset: z.number(), count: z.number() })),
        }),
      ),
    }),
  ),
})

type Range = z.infer<typeof COVERAGE>["result"][number]["functions"][number]["ranges"][number]

/** Which places of the program a test file has run. */
export interface Coverage {
  /** Whether the place was run: a path under `build/src`, and an offset in UTF-16 units. */
  has(file: string, offset: number): boolean
}

/** Reads what the processes of one test file have written to a folder, and removes it. */
export function readCoverage(folder: string, program: string): Coverage {
  const base = pathToFileURL(program).href
  /** For each file the functions that each process has seen. */
  const files = new Map<string, Range[][]>()
  for (const name of readdirSync(folder)) {
    const { result } = COVERAGE.parse(JSON.parse(readFileSync(join(folder, name), "utf8")))
    for (const { url, functions } of result) {
      if (!url.startsWith(base)) continue
      const ranges = functions.flatMap((one) => one.ranges)
      files.set(url, [...(files.get(url) ?? []), ranges])
    }
  }
  rmSync(folder, { recursive: true })
  return {
    has: (file, offset) =>
      (files.get(pathToFileURL(join(program, file)).href) ?? []).some((ranges) => countAt(ranges, offset) > 0),
  }
}

/** How often the place was run: what the narrowest range around it says. */
function countAt(ranges: readonly Range[], offset: number): number {
  const around = ranges.filter(({ startOffset, endOffset }) => startOffset <= offset && offset < endOffset)
  const width = ({ startOffset, endOffset }: Range): number => endOffset - startOffset
  return around.toSorted((a, b) => width(a) - width(b))[0]?.count ?? 0
}
