import { readdir } from "node:fs/promises"
import { homedir } from "node:os"
import { join } from "node:path"
import type { Named } from "../config/names.js"
import { stateDirPath } from "../config/state-dir.js"
import { isName } from "../core/key/source-key.js"

export type { Named }

interface Places {
  /** `--config` and `--state-dir` as they were typed. */
  readonly config: string | undefined
  readonly stateDir: string | undefined
}

/**
 * Names for a shell to complete: of the configuration file and of the inventory's files, which are not opened. Neither
 * token nor KMS is asked, nothing is written, and what cannot be read has no names.
 */
export async function namesToComplete(
  kind: Named,
  { config, stateDir }: Places,
  env: NodeJS.ProcessEnv,
): Promise<readonly string[]> {
  const path = config ?? env["KEYFERRY_CONFIG"] ?? ""
  const ofFile = path === "" ? [] : await inFile(fromHome(path, env), kind)
  const inventory = join(stateDirPath(stateDir === undefined ? undefined : fromHome(stateDir, env), env), "inventory")
  const targets = kind === "tokens" ? [] : await namesIn(inventory)
  const ofState =
    kind === "keys" ? (await Promise.all(targets.map((target) => keysIn(inventory, target)))).flat() : targets
  return [...new Set([...ofFile, ...ofState])].sort()
}

// every command line is parsed beside the completion of names, and most of them read no YAML
async function inFile(path: string, kind: Named): Promise<readonly string[]> {
  const { namesInFile } = await import("../config/names.js")
  return await namesInFile(path, kind)
}

const keysIn = async (inventory: string, target: string): Promise<readonly string[]> =>
  (await namesIn(join(inventory, target))).flatMap((file) => (file.endsWith(".json") ? [file.slice(0, -5)] : []))

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter(isName)
  } catch {
    return []
  }
}

/** A shell hands on what is typed before it expands it. */
const fromHome = (path: string, env: NodeJS.ProcessEnv): string => path.replace(/^~(?=\/|$)/, env["HOME"] ?? homedir())
