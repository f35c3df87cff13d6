import { LineCounter } from "yaml"
import { KeyferryError } from "../core/base/error.js"
import type { Manifest } from "../core/manifest/manifest.js"
import { readBounded } from "../input/bounded-file.js"
import { utf8Text, withoutMark } from "../input/text.js"
import { type Fault, pathText } from "./fault.js"
import { resolve } from "./resolve.js"
import { type ConfigFile, configSchema } from "./schema.js"
import { issueFaults } from "./issue.js"
import { parseYaml, positionOf, type YamlFile } from "./yaml-file.js"

/** A manifest of 10,000 keys has about 2 MB. */
const MOST_BYTES = 32 * 1024 * 1024

/**
 * Reads and checks the configuration file, offline. Every fault that can be found at once is reported: those of YAML,
 * else those of the shape, else those of what the keys have to do with each other.
 *
 * @param profiles families of token profiles that there are
 * @throws ERR_CONFIG_INVALID with a cause for each fault: its path, line and column, and what is wrong
 */
export async function loadManifest(path: string, profiles: readonly string[]): Promise<Manifest> {
  return parseManifest(await readText(path), path, profiles)
}

/** As {@link loadManifest}, of text that is said to be from `path`. */
export function parseManifest(text: string, path: string, profiles: readonly string[]): Manifest {
  const lines = new LineCounter()
  const yaml = parseYaml(text, lines)
  if ("faults" in yaml) throw invalid(path, yaml.faults)
  const parsed = configSchema(profiles).safeParse(yaml.value)
  if (!parsed.success) throw invalid(path, placed(issueFaults(parsed.error, yaml.value), yaml, lines))
  const { manifest, faults } = resolve(parsed.data as ConfigFile)
  if (faults.length > 0) throw invalid(path, placed(faults, yaml, lines))
  return manifest
}

async function readText(path: string): Promise<string> {
  let bytes: Buffer
  try {
    bytes = await readBounded(path, MOST_BYTES)
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException
    throw new KeyferryError("ERR_CONFIG_INVALID", "the configuration file cannot be read", {
      cause: error,
      key: path,
      hint: "check --config (KEYFERRY_CONFIG) and the file's permissions",
      causes: [{ code, message }],
    })
  }
  if (bytes.length > MOST_BYTES) throw invalid(path, [{ path: [], message: `is larger than ${MOST_BYTES} bytes` }])
  // YAML allows the mark (1.2.2 section 5.2)
  const decoded = utf8Text(withoutMark(bytes))
  if ("text" in decoded) return decoded.text
  throw invalid(path, [{ path: [], message: `${decoded.fault}: save it as UTF-8` }])
}

function placed(faults: readonly Fault[], yaml: YamlFile, lines: LineCounter): readonly Fault[] {
  return faults.map((fault) => ({ ...fault, at: positionOf(yaml, fault.path, lines) }))
}

function invalid(path: string, faults: readonly Fault[]): KeyferryError {
  const sorted = faults.toSorted((a, b) => (a.at?.line ?? 0) - (b.at?.line ?? 0))
  const causes = sorted.map(({ path, message, at: position }) => ({
    code: path.length === 0 ? "file" : pathText(path),
    message: position === undefined ? message : `${message} (line ${position.line}, column ${position.column})`,
  }))
  const count = faults.length === 1 ? "a fault" : `${faults.length} faults`
  return new KeyferryError("ERR_CONFIG_INVALID", `the configuration file has ${count}`, { key: path, causes })
}
