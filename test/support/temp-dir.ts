import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A folder of its own for each test of the calling suite, removed after it. Returns a function that names it. */
export function temporaryFolder(): () => string {
  let path = ""
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), "keyferry-test-"))
  })
  afterEach(() => {
    rmSync(path, { recursive: true, force: true })
  })
  return () => path
}
