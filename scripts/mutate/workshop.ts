import { spawn, spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** What the tests said of a change: `caught` by a failing test, `hung` past the time, or `survived`. */
export type Outcome = "caught" | "hung" | "survived"

/** A changed file of the program, by its path under `build/src`. */
interface Change {
  readonly file: string
  readonly text: string
}

/** A copy of the repository's compiled files, to be changed and tested in. */
export interface Workshop extends Disposable {
  /** A compiled file of the program, by its path under `build/src`. */
  read(file: string): string
  /** Runs test files, by their paths under `build/test`, on a changed file; the file is as before afterwards. */
  test(change: Change, tests: readonly string[]): Promise<Outcome>
  /** The same with the tests of one file that have the text in their titles, which are known to pass without the change. */
  testNamed(change: Change, test: string, named: string): Promise<Outcome>
  /** Whether tests of a file pass as the files are. */
  passes(test: string, named: readonly string[]): Promise<boolean>
}

/** How long one test file may take before the change counts as noticed, in seconds. */
const PATIENCE_S = 120

export function openWorkshop(root: string): Workshop {
  /** Test files that pass without a change: one that fails anyway catches nothing. */
  const green = new Set<string>()
  const copy = mkdtempSync(join(tmpdir(), "keyferry-mutate-"))
  for (const entry of readdirSync(root)) {
    if (entry !== "build") symlinkSync(join(root, entry), join(copy, entry))
  }
  // no hard links: who compiles meanwhile would change the copy
  spawnSync("cp", ["-a", join(root, "build"), join(copy, "build")], { stdio: "inherit" })
  const pathOf = (file: string): string => join(copy, "build/src", file)

  const changed = async <T>({ file, text }: Change, run: (undo: () => void) => Promise<T>): Promise<T> => {
    const original = readFileSync(pathOf(file), "utf8")
    const undo = (): void => writeFileSync(pathOf(file), original)
    writeFileSync(pathOf(file), text)
    try {
      return await run(undo)
    } finally {
      undo()
    }
  }

  return {
    read: (file) => readFileSync(pathOf(file), "utf8"),
    test: (change, tests) =>
      changed(change, async (undo) => {
        for (const test of tests) {
          if (!existsSync(join(copy, "build/test", test))) continue
          const outcome = await mocha(copy, test)
          if (outcome === "survived") continue
          undo()
          if (!green.has(test) && (await mocha(copy, test)) !== "survived") throw new Error(`${test} fails as it is`)
          green.add(test)
          return outcome
        }
        return "survived"
      }),
    testNamed: (change, test, named) => changed(change, () => mocha(copy, test, [named])),
    passes: async (test, named) => (await mocha(copy, test, named)) === "survived",
    [Symbol.dispose]: () => rmSync(copy, { recursive: true, force: true }),
  }
}

function mocha(cwd: string, test: string, named?: readonly string[]): Promise<Outcome> {
  const pattern = named?.map((title) => title.replaceAll(/[^\w ]/g, ".")).join("|")
  const words = ["--bail", join("build/test", test), ...(pattern === undefined ? [] : ["--grep", pattern])]
  const child = spawn(join(cwd, "node_modules/.bin/mocha"), words, { cwd, stdio: "ignore", detached: true })
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      // with what the test has started
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
      resolve("hung")
    }, PATIENCE_S * 1000)
    child.on("error", reject)
    child.on("close", (status) => {
      clearTimeout(late)
      resolve(status === 0 ? "survived" : "caught")
    })
  })
}
