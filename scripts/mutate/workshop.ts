import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Coverage, readCoverage } from "./coverage.js"

/** What the tests said of a change: `caught` by a failing test, `hung` past the time, or `survived`. */
export type Outcome = "caught" | "hung" | "survived"

/** A changed file of the program, by its path under `build/src`. */
interface Change {
  readonly file: string
  readonly text: string
}

/** A test file, by its path under `build/test`, as it ran on the program as it is. */
export interface Baseline {
  readonly test: string
  readonly seconds: number
  readonly coverage: Coverage
}

/** A copy of the repository's compiled files, to be changed and tested in. */
export interface Workshop extends Disposable {
  /** A compiled file of the program, by its path under `build/src`. */
  read(file: string): string
  /** Runs a test file on the program as it is; an error where it fails, for then it catches nothing. */
  measure(test: string): Promise<Baseline>
  /** Runs test files on a changed file, up to the first that notices; the file is as before afterwards. */
  test(change: Change, tests: readonly Baseline[]): Promise<Outcome>
  /** The same with the tests of one file that have the text in their titles, which are known to pass without the change. */
  testNamed(change: Change, test: string, named: string): Promise<Outcome>
  /** Whether tests of a file pass as the files are. */
  passes(test: string, named: readonly string[]): Promise<boolean>
}

/** How long one test file may take before the change counts as noticed, in seconds, or in times of what it takes as it is. */
const PATIENCE_S = 60
const PATIENCE_TIMES = 4

export function openWorkshop(root: string): Workshop {
  const copy = mkdtempSync(join(tmpdir(), "keyferry-mutate-"))
  for (const entry of readdirSync(root)) {
    if (entry !== "build") symlinkSync(join(root, entry), join(copy, entry))
  }
  // no hard links: who compiles meanwhile would change the copy
  spawnSync("cp", ["-a", join(root, "build"), join(copy, "build")], { stdio: "inherit" })
  const pathOf = (file: string): string => join(copy, "build/src", file)

  const changed = async ({ file, text }: Change, run: () => Promise<Outcome>): Promise<Outcome> => {
    const original = readFileSync(pathOf(file), "utf8")
    writeFileSync(pathOf(file), text)
    try {
      return await run()
    } finally {
      writeFileSync(pathOf(file), original)
    }
  }

  return {
    read: (file) => readFileSync(pathOf(file), "utf8"),
    async measure(test) {
      const folder = mkdtempSync(join(tmpdir(), "keyferry-coverage-"))
      const began = performance.now()
      const outcome = await mocha(copy, test, { env: { NODE_V8_COVERAGE: folder } })
      if (outcome !== "survived") throw new Error(`${test} fails as it is`)
      const seconds = (performance.now() - began) / 1000
      return { test, seconds, coverage: readCoverage(folder, join(copy, "build/src")) }
    },
    test: (change, tests) =>
      changed(change, async () => {
        for (const { test, seconds } of tests) {
          const outcome = await mocha(copy, test, { patienceS: Math.max(PATIENCE_S, PATIENCE_TIMES * seconds) })
          if (outcome !== "survived") return outcome
        }
        return "survived"
      }),
    testNamed: (change, test, named) => changed(change, () => mocha(copy, test, { named: [named] })),
    passes: async (test, named) => (await mocha(copy, test, { named })) === "survived",
    [Symbol.dispose]: () => rmSync(copy, { recursive: true, force: true }),
  }
}

interface MochaOptions {
  /** Titles of the tests to run, or parts of them; all unless given. */
  readonly named?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  readonly patienceS?: number
}

function mocha(cwd: string, test: string, { named, env, patienceS = 600 }: MochaOptions): Promise<Outcome> {
  const pattern = named?.map((title) => title.replaceAll(/[^\w ]/g, ".")).join("|")
  const words = ["--bail", join("build/test", test), ...(pattern === undefined ? [] : ["--grep", pattern])]
  const child = spawn(join(cwd, "node_modules/.bin/mocha"), words, {
    cwd,
    env: { ...process.env, ...env },
    stdio: "ignore",
    detached: true,
  })
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      // with what the test has started
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
      resolve("hung")
    }, patienceS * 1000)
    child.on("error", reject)
    child.on("close", (status) => {
      clearTimeout(late)
      resolve(status === 0 ? "survived" : "caught")
    })
  })
}
