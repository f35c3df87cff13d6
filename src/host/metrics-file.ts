import { chmod, rename, rm, writeFile } from "node:fs/promises"
import { KeyferryError } from "../core/base/error.js"
import { causesOf } from "../store/files/file-error.js"

/**
 * Replaces a file for the textfile collector of node_exporter, which reads as another user and must never see half of
 * it: mode 0644. Nothing is lost with it, so nothing is fsynced.
 *
 * @throws ERR_OUTPUT_WRITE
 */
export async function writeMetrics(path: string, text: string): Promise<void> {
  // the collector takes files that end in .prom alone
  const temporary = `${path}.${process.pid}.tmp`
  try {
    await writeFile(temporary, text, { flag: "w", mode: 0o644 })
    await chmod(temporary, 0o644)
    await rename(temporary, path)
  } catch (error) {
    // where the folder is none, there is nothing to remove either
    await rm(temporary, { force: true }).catch(() => undefined)
    throw new KeyferryError("ERR_OUTPUT_WRITE", `could not write ${path}`, { cause: error, causes: causesOf(error) })
  }
}
