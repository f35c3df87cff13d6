/**
 * `npm run mutate [-- --layers core,store] [-- --seed N] [-- --count N]`: makes small changes of the compiled program, one
 * at a time, and asks the layer's own tests whether they notice. Prints each change that none noticed, then the score of
 * each layer. `--named` takes the changes of named.ts instead, each of which a named test must catch: status 1 otherwise.
 */
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { type Mutation, mutationsOf } from "./mutations.js"
import { NAMED } from "./named.js"
import { openWorkshop, type Workshop } from "./workshop.js"

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

/** The layer's tests, those first that are likely to notice: the file's own, then its folder's. */
function testsFor(file: string): readonly string[] {
  const layer = file.split("/")[0] ?? ""
  const own = file.replace(/\.js$/, ".test.js")
  const nearness = (test: string): number => (test === own ? 0 : dirname(test) === dirname(file) ? 1 : 2)
  return filesOf("test", layer, ".test.js").toSorted((a, b) => nearness(a) - nearness(b))
}

async function mutateLayer(workshop: Workshop, layer: string, { seed, count }: { seed: string; count: number }) {
  const candidates = filesOf("src", layer, ".js").flatMap((file) =>
    mutationsOf(file, readFileSync(join(ROOT, "build/src", file), "utf8")).map((mutation) => ({ file, mutation })),
  )
  let caught = 0
  const chosen = drawn(candidates, seed, count)
  for (const { file, mutation } of chosen) {
    const text = workshop.read(file)
    const changed = text.slice(0, mutation.start) + mutation.replacement + text.slice(mutation.end)
    const outcome = await workshop.test({ file, text: changed }, testsFor(file))
    if (outcome === "survived") console.log(`survived: ${file}:${mutation.line}: ${mutation.change}`)
    else caught += 1
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
