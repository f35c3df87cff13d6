import { LineCounter } from "yaml"
import { isName } from "../core/key/source-key.js"
import { readBounded } from "../input/bounded-file.js"
import { parseYaml } from "./yaml-file.js"

/** What a configuration file has names of. */
export type Named = "keys" | "targets" | "tokens"

/** Larger files take too long to be looked through while somebody types. */
const MOST_BYTES = 4 * 1024 * 1024

/** Names that stand in a file, whether or not all of it is right; none where it cannot be read. */
export async function namesInFile(path: string, kind: Named): Promise<readonly string[]> {
  try {
    const bytes = await readBounded(path, MOST_BYTES)
    if (bytes.length > MOST_BYTES) return []
    const yaml = parseYaml(bytes.toString("utf8"), new LineCounter())
    const section = "value" in yaml ? (yaml.value as Partial<Record<Named, unknown>> | null)?.[kind] : null
    return typeof section === "object" && section !== null ? Object.keys(section).filter(isName) : []
  } catch {
    return []
  }
}
