// SPDX-License-Identifier: Apache-2.0
// usage: node scripts/package/bill-of-materials.mjs ALL EPOCH NODE_VERSION ADDON...
// Of npm's bill of materials (CycloneDX) of all packages that are installed, prints the one of those that are packed: those
// that scripts/bundle.mjs joined, the addons, and Node.js. The same packages give the same text.
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"

const [file, epoch, nodeVersion, ...addons] = process.argv.slice(2)
const bill = JSON.parse(readFileSync(file, "utf8"))
const { dependencies, optionalDependencies } = JSON.parse(readFileSync("package.json", "utf8"))
const bundled = JSON.parse(readFileSync("build/bundled.json", "utf8"))
const packed = new Set([...bundled, ...Object.keys({ ...dependencies, ...optionalDependencies }), ...addons])

const npmPackages = bill.components.filter(({ name, group }) => packed.has(group ? `${group}/${name}` : name))
const missing = [...packed].filter(
  (name) => !npmPackages.some((each) => (each.group ? `${each.group}/${each.name}` : each.name) === name),
)
if (missing.length > 0) throw new Error(`not in npm's bill of materials: ${missing.join(", ")}`)
const node = {
  "bom-ref": `node@${nodeVersion}`,
  type: "platform",
  name: "node",
  version: nodeVersion,
  scope: "required",
  purl: `pkg:generic/node@${nodeVersion}`,
  licenses: [{ license: { id: "MIT" } }],
  externalReferences: [{ type: "website", url: "https://nodejs.org" }],
}
// what npm knows as a tool for developers is a part here
const components = [...npmPackages.map((each) => ({ ...each, scope: "required", properties: undefined })), node].sort(
  (a, b) => (a["bom-ref"] < b["bom-ref"] ? -1 : 1),
)
const refs = new Set([bill.metadata.component["bom-ref"], ...components.map((each) => each["bom-ref"])])
const content = {
  ...bill,
  metadata: {
    ...bill.metadata,
    timestamp: new Date(Number(epoch) * 1000).toISOString(),
    component: { ...bill.metadata.component, properties: undefined },
  },
  components,
  dependencies: bill.dependencies
    .filter(({ ref }) => refs.has(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((each) => refs.has(each)).sort() }))
    .sort((a, b) => (a.ref < b.ref ? -1 : 1)),
}
delete content.serialNumber
const digest = createHash("sha256").update(JSON.stringify(content)).digest("hex")
// a UUID of version 8 (RFC 9562) of the content
const serial = [
  digest.slice(0, 8),
  digest.slice(8, 12),
  `8${digest.slice(13, 16)}`,
  `8${digest.slice(17, 20)}`,
  digest.slice(20, 32),
]
process.stdout.write(`${JSON.stringify({ ...content, serialNumber: `urn:uuid:${serial.join("-")}` }, null, 2)}\n`)
