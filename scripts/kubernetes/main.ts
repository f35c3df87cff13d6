/**
 * `node build/scripts/kubernetes/main.js --rendered FOLDER --schemas FOLDER`: holds renderings of deploy/kubernetes, each a file
 * NAME.yaml, to the schemas and to the rules of test/support/kubernetes. The last line is `N passed, N failed`.
 */
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { parseArgs } from "node:util"
import { type KubernetesObject, objectsOf, podsOf } from "#test/support/kubernetes/objects.js"
import { podSecurityFaults } from "#test/support/kubernetes/pod-security.js"
import { referenceFaults, secretsOf } from "#test/support/kubernetes/references.js"
import { runningFaults } from "#test/support/kubernetes/running.js"
import { schemaFaults } from "./schemas.js"

const { values } = parseArgs({ options: { rendered: { type: "string" }, schemas: { type: "string" } } })
const { rendered, schemas } = values
if (rendered === undefined || schemas === undefined) throw new Error("give --rendered FOLDER and --schemas FOLDER")

/** Slips of a Deployment that its schema is to see. */
const SPOILED: Readonly<Record<string, (deployment: KubernetesObject) => object>> = {
  "a field that is not known": (deployment) => ({ ...deployment, spec: { ...deployment.spec, replica: 2 } }),
  "a number that is a text": (deployment) => ({ ...deployment, spec: { ...deployment.spec, replicas: "2" } }),
  "a Deployment without a selector": (deployment) => ({
    ...deployment,
    spec: { ...deployment.spec, selector: undefined },
  }),
  "an object of no known kind": (deployment) => ({ ...deployment, kind: "Deploymant" }),
}

const secrets = secretsOf(readFileSync("deploy/kubernetes/README.md", "utf8"))
let passed = 0
let failed = 0

function tell(name: string, faults: readonly string[]): void {
  if (faults.length === 0) passed += 1
  else failed += 1
  console.log(`kubernetes-check: ${name}: ${faults.length === 0 ? "well" : "failed"}`)
  for (const fault of faults) console.log(`  ${fault}`)
}

/** What `keyferry config check` has against the configuration in the ConfigMap. */
function configFaults(objects: readonly KubernetesObject[], folder: string): readonly string[] {
  const text = objects.find(({ kind }) => kind === "ConfigMap")?.data?.["keyferry.yaml"]
  if (text === undefined) return ["no ConfigMap has a keyferry.yaml"]
  const file = join(folder, "keyferry.yaml")
  writeFileSync(file, text)
  const { status, stderr } = spawnSync(process.execPath, ["dist/main.cjs", "config", "check", "--config", file], {
    encoding: "utf8",
  })
  return status === 0 ? [] : [stderr]
}

const files = readdirSync(rendered)
  .filter((name) => name.endsWith(".yaml"))
  .sort()
if (files.length === 0) tell("renderings", ["there are none"])
for (const file of files) {
  const name = basename(file, ".yaml")
  const objects = objectsOf(readFileSync(join(rendered, file), "utf8"))
  tell(`${name}: ${objects.length} objects keep to their schemas`, await schemaFaults(objects, schemas))
  const pods = podsOf(objects)
  const insecure = pods.flatMap(({ of, template }) =>
    podSecurityFaults(template.spec).map((fault) => `${of}: ${fault}`),
  )
  if (pods.length > 0) tell(`${name}: pod security 'restricted'`, insecure)
  if (pods.length > 0) tell(`${name}: what is named is there`, referenceFaults(objects, secrets))
  if (pods.length > 0) tell(`${name}: how it runs`, runningFaults(objects))
  if (pods.length > 0) tell(`${name}: keyferry takes its configuration`, configFaults(objects, schemas))
}

// a check that finds nothing, whatever it is shown, is none
const whole = objectsOf(readFileSync(join(rendered, "agents.yaml"), "utf8")).filter(({ kind }) => kind === "Deployment")
for (const [slip, spoil] of Object.entries(SPOILED)) {
  const faults = await schemaFaults(whole.map(spoil) as KubernetesObject[], schemas)
  tell(`${slip} is refused`, faults.length > 0 ? [] : ["the schemas have nothing against it"])
}

console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
