import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { type KubernetesObject, nameOf } from "#test/support/kubernetes/objects.js"
import { secretProviderClassFaults } from "#test/support/kubernetes/secret-provider-class.js"

/** npm packages with the schemas of Kubernetes and of the Prometheus operator, compiled, and with types made of the same schemas. */
const PROMETHEUS = "monitoring.coreos.com/v1"
const packageOf = ({ apiVersion }: KubernetesObject): string =>
  apiVersion === PROMETHEUS ? `@kubernetes-models/prometheus-operator/${apiVersion}` : `kubernetes-models/${apiVersion}`

const isOurs = ({ kind }: KubernetesObject): boolean => kind === "SecretProviderClass"

type Model = new (object: unknown) => { validate(): void }

/**
 * What the schemas have against the objects: required fields, types and values by the compiled schemas; fields that are not known by
 * the types, since those schemas leave unknown fields alone.
 *
 * @param folder has the packages in its `node_modules`; a program is written there
 */
export async function schemaFaults(objects: readonly KubernetesObject[], folder: string): Promise<readonly string[]> {
  const faults: string[] = []
  for (const object of objects) {
    const said = isOurs(object) ? secretProviderClassFaults(object) : await modelFaults(object, folder)
    faults.push(...said.map((fault) => `${nameOf(object)}: ${fault}`))
  }
  return [
    ...faults,
    ...unknownFields(
      objects.filter((object) => !isOurs(object)),
      folder,
    ),
  ]
}

async function modelFaults(object: KubernetesObject, folder: string): Promise<readonly string[]> {
  const file = join(folder, "node_modules", packageOf(object), `${object.kind}.js`)
  let models: Readonly<Record<string, Model>>
  try {
    models = (await import(file)) as Readonly<Record<string, Model>>
  } catch {
    return [`no schema of ${object.apiVersion} ${object.kind}`]
  }
  const model = models[object.kind]
  if (model === undefined) return [`no schema of ${object.apiVersion} ${object.kind}`]
  try {
    new model(object).validate()
    return []
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  }
}

/** The objects as literals of their types, judged by the TypeScript compiler, which takes no literal with a field of no meaning. */
function unknownFields(objects: readonly KubernetesObject[], folder: string): readonly string[] {
  const lines = objects.map(
    (object, index) =>
      `export const object${index}: import(${JSON.stringify(packageOf(object))}).I${object.kind} = ${JSON.stringify(object)}`,
  )
  writeFileSync(join(folder, "package.json"), '{ "type": "module", "private": true }\n')
  writeFileSync(join(folder, "objects.ts"), `${lines.join("\n")}\n`)
  const compilerOptions = {
    noEmit: true,
    strict: true,
    module: "nodenext",
    target: "es2023",
    types: [],
    skipLibCheck: true,
  }
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["objects.ts"] }))
  const { status, stdout, error } = spawnSync("tsc", ["--project", folder, "--pretty", "false"], { encoding: "utf8" })
  if (error !== undefined) throw error
  if (status === 0) return []
  return stdout
    .trim()
    .split("\n")
    .map((line) => {
      const [, row, message = line] = /^.*\((\d+),\d+\): error TS\d+: (.*)$/.exec(line) ?? []
      const object = objects[Number(row) - 1]
      return object === undefined ? message : `${nameOf(object)}: ${message}`
    })
}
