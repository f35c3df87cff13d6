/**
 * `npm run mutate [-- --layers core,store] [-- --seed N] [-- --count N]`: makes small changes of the compiled program, one
 * at a time, and asks those of the layer's own tests that run the changed place whether they notice. Prints each change
 * that none noticed, then the score of each layer. `--named` takes the changes of named.ts instead, each of which a named test must catch: status 1 otherwise.
 */
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { type Mutation, mutationsOf } from "./mutations.js"
import { NAMED } from "./named.js"
import { type Baseline, openWorkshop, type Workshop } from "./workshop.js"

const ROOT = fileURLToPath(new URL("../../../", import.meta.url))
const LAYERS = ["core", "app", "store", "pkcs11"]

interface Candidate {
  readonly file: string
  readonly mutation: Mutation
}

/** Paths under a folder that end so, sorted, relative to `build/src` or `build/test`. */
function filesOf(tree: "src" | "test", folder: string, end: string): readonly string[] {
  const base = join(ROOT, "build", tree)
  return readdirSync(join(base, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(end))
    .map((path) => join(folder, path))
    .sort()
}

/** So many of all, the same for the same seed: those whose hash with the seed is smallest. */
function drawn(candidates: readonly Candidate[], seed: string, count: number): readonly Candidate[] {
  const hashOf = ({ file, mutation }: Candidate): string =>
    createHash("sha256").update(`${seed} ${file} ${mutation.start} ${mutation.replacement}`).digest("hex")
  return candidates
    .map((candidate) => ({ candidate, hash: hashOf(candidate) }))
    .sort((a, b) => (a.hash < b.hash ? -1 : 1))
    .slice(0, count)
    .map(({ candidate }) => candidate)
}

/** The tests that run the changed place, those first that are likely to notice: the file's own, then its folder's. */
function testsFor({ file, mutation }: Candidate, baselines: readonly Baseline[]): readonly Baseline[] {
  const own = file.replace(/\.js$/, ".test.js")
  const nearness = ({ test }: Baseline): number => (test === own ? 0 : dirname(test) === dirname(file) ? 1 : 2)
  return baselines
    .filter(({ coverage }) => coverage.has(file, mutation.start))
    .toSorted((a, b) => nearness(a) - nearness(b) || a.seconds - b.seconds)
}

/** Each test file of the layer once on the program as it is: how long it takes, and what it runs. */
async function measureLayer(workshop: Workshop, layer: string): Promise<readonly Baseline[]> {
  const tests = filesOf("test", layer, ".test.js")
  const baselines: Baseline[] = []
  for (const [at, test] of tests.entries()) {
    console.error(`${layer}: ${at + 1} of ${tests.length} test files as they are`)
    baselines.push(await workshop.measure(test))
  }
  return baselines
}

async function mutateLayer(workshop: Workshop, layer: string, { seed, count }: { seed: string; count: number }) {
  const candidates = filesOf("src", layer, ".js").flatMap((file) =>
    mutationsOf(file, readFileSync(join(ROOT, "build/src", file), "utf8")).map((mutation) => ({ file, mutation })),
  )
  const chosen = drawn(candidates, seed, count)
  const baselines = await measureLayer(workshop, layer)
  let caught = 0
  for (const [at, candidate] of chosen.entries()) {
    const { file, mutation } = candidate
    const tests = testsFor(candidate, baselines)
    console.error(`${layer}: ${at + 1} of ${chosen.length}, ${caught} caught; next ${file}:${mutation.line}`)
    const text = workshop.read(file)
    const changed = text.slice(0, mutation.start) + mutation.replacement + text.slice(mutation.end)
    const outcome = await workshop.test({ file, text: changed }, tests)
    if (outcome !== "survived") caught += 1
    else console.log(`survived ${tests.length} test files: ${file}:${mutation.line}: ${mutation.change}`)
  }
  const percent = chosen.length === 0 ? 100 : Math.round((100 * caught) / chosen.length)
  console.log(`${layer}: ${caught} of ${chosen.length} caught, ${percent} % (of ${candidates.length} possible changes)`)
}

/** Each named change must be caught by the test that is named beside it. */
async function mutateNamed(workshop: Workshop): Promise<void> {
  let [passed, failed] = [0, 0]
  for (const test of new Set(NAMED.map((mutation) => mutation.test))) {
    const titles = NAMED.filter((mutation) => mutation.test === test).map(({ named }) => named)
    // one that fails anyway catches nothing
    if (!(await workshop.passes(test, titles))) throw new Error(`${test} fails as it is`)
  }
  for (const { title, file, before, after, test, named } of NAMED) {
    const text = workshop.read(file)
    // a change that fits nowhere, or in two places, is one that nobody has looked at since the code changed
    const fits = text.split(before).length === 2
    const changed = { file, text: text.replace(before, () => after) }
    const outcome = fits ? await workshop.testNamed(changed, test, named) : "fits nowhere"
    const well = outcome === "caught"
    if (well) passed += 1
    else failed += 1
    console.log(`${well ? "caught" : `NOT CAUGHT (${outcome})`}: ${title} (${test}: ${named})`)
  }
  console.log(`\n${passed} passed, ${failed} failed`)
  if (failed > 0) process.exitCode = 1
}

const { values } = parseArgs({
  options: {
    layers: { type: "string", default: LAYERS.join(",") },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    count: { type: "string", default: "25" },
    named: { type: "boolean", default: false },
  },
})
using workshop = openWorkshop(ROOT)
if (values.named) {
  await mutateNamed(workshop)
} else {
  console.log(`seed ${values.seed}, ${values.count} changes a layer`)
  for (const layer of values.layers.split(","))
    await mutateLayer(workshop, layer, { seed: values.seed, count: Number(values.count) })
}
