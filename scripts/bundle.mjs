// SPDX-License-Identifier: Apache-2.0
// usage: node scripts/bundle.mjs
// Joins build/src and the packages that it imports into few files, dist/main.js and its chunks: what stood between a
// command and its first line was the reading of some 400 files (docs/adr/0005). Native addons stay packages.
import { build } from "esbuild"
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync, chmodSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath, URL } from "node:url"

process.chdir(fileURLToPath(new URL("..", import.meta.url)))
const { dependencies } = JSON.parse(readFileSync("package.json", "utf8"))

// An import of node:http as a module reads all that it exports, WebSocket among it, and that loads undici: a tenth of the
// start of a command that talks to KMS. What asks for it by require reads what it uses.
const httpByRequire = {
  name: "node:http by require",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?http$/ }, ({ namespace }) =>
      namespace === "http" ? { path: "node:http", external: true } : { path: "node:http", namespace: "http" },
    )
    onLoad({ filter: /^/, namespace: "http" }, () => ({ contents: 'module.exports = require("node:http")' }))
  },
}

// a command that is running finds its files until the last moment
const fresh = "build/dist"
rmSync(fresh, { recursive: true, force: true })
const { metafile } = await build({
  entryPoints: ["build/src/main.js"],
  outdir: fresh,
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  // an import of a CommonJS package at run time gives its default alone
  mainFields: ["module", "main"],
  // as Node.js takes it where nothing is joined: its other form imports pkcs11js in a way that pkcs11js has not
  alias: { "graphene-pk11": "./node_modules/graphene-pk11/build/cjs/index.js" },
  target: "node22",
  external: Object.keys(dependencies),
  plugins: [httpByRequire],
  // CommonJS packages ask for Node.js' own modules by require
  banner: {
    js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);',
  },
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
})
chmodSync(join(fresh, "main.js"), 0o755)

// `import { z }` brings all of zod, with the words of fifty languages; `import * as z` what is used
if (
  Object.values(metafile.outputs).some(
    ({ inputs }) => (inputs["node_modules/zod/v4/locales/ar.js"]?.bytesInOutput ?? 0) > 0,
  )
) {
  throw new Error('zod came whole: write `import * as z from "zod"`')
}
for (const { entryPoint = "", exports } of Object.values(metafile.outputs)) {
  if (entryPoint.includes("node_modules/") && exports.join() === "default") {
    throw new Error(`import() of ${entryPoint}, a CommonJS package, would give its default alone: import it statically`)
  }
}

// Each licence asks for its text beside the code.
const packages = Object.keys(metafile.inputs)
  .map((file) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0])
  .filter((folder) => folder !== undefined)
const notices = [...new Set(packages)].sort().map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
  const text = file === undefined ? "" : `\n${readFileSync(join(folder, file), "utf8").trim()}\n`
  return `${name} ${version} (${license})\n${text}`
})
writeFileSync(join(fresh, "THIRD-PARTY-NOTICES.txt"), notices.join(`\n${"-".repeat(80)}\n\n`))

rmSync("dist", { recursive: true, force: true })
renameSync(fresh, "dist")
