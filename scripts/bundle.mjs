// SPDX-License-Identifier: Apache-2.0
// usage: node scripts/bundle.mjs
// Joins build/src and the packages that it imports into two CommonJS files: dist/main.cjs, which any Node.js can parse, and
// dist/run.cjs, of which dist/keyferry.mjs gives programs a part. What stood between a command and its first line was finding and reading files, by the hundred, and for
// ECMAScript modules with some more work for each (docs/adr/0005). Native addons stay packages.
import { build } from "esbuild"
import { copyFileSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync, chmodSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath, URL } from "node:url"

process.chdir(fileURLToPath(new URL("..", import.meta.url)))
const { dependencies, optionalDependencies } = JSON.parse(readFileSync("package.json", "utf8"))

// pg-boss knows schedules by RFC 5545 as well, for which rrule-temporal brings half as much code again, while keyferry's are
// cron; and more than half of its SQL is comment
const leanPgBoss = {
  name: "lean pg-boss",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^rrule-temporal$/ }, () => ({ path: "rrule-temporal", namespace: "left-out" }))
    onLoad({ filter: /.*/, namespace: "left-out" }, () => ({
      contents: 'export function RRuleTemporal() { throw new Error("a schedule is cron, five fields") }',
    }))
    onLoad({ filter: /\/pg-boss\/dist\/\w+\.js$/ }, ({ path }) => ({
      contents: readFileSync(path, "utf8")
        .replaceAll(/^[ \t]*--[^\n`]*\n/gm, "")
        .replaceAll(/\n[ \t]+/g, "\n"),
    }))
  },
}

const joined = {
  bundle: true,
  format: "cjs",
  platform: "node",
  mainFields: ["module", "main"],
  // as Node.js takes it where nothing is joined: its other form imports pkcs11js in a way that pkcs11js has not
  alias: { "graphene-pk11": "./node_modules/graphene-pk11/build/cjs/index.js" },
  // what is loaded later is asked for by require, and not by the loader of modules
  supported: { "dynamic-import": false },
  external: Object.keys({ ...dependencies, ...optionalDependencies }),
  define: { "import.meta.url": "urlOfThisFile" },
  banner: { js: 'const urlOfThisFile = require("node:url").pathToFileURL(__filename).href;' },
  legalComments: "none",
  // less to read at each start, and an archive of 40 MB holds it; lines stay, so that a stack trace says where: the source map
  // that reads it is made again from the same commit, which gives the same bytes
  minify: true,
  lineLimit: 4000,
  metafile: true,
  logLevel: "warning",
}
const runApart = {
  name: "run.cjs apart",
  setup({ onResolve }) {
    onResolve({ filter: /\/cli\/run\.js$/ }, () => ({ path: "./run.cjs", external: true }))
  },
}

// a command that is running finds its files until the last moment
const fresh = "build/dist"
rmSync(fresh, { recursive: true, force: true })
await build({
  ...joined,
  entryPoints: ["build/src/main.js"],
  outfile: join(fresh, "main.cjs"),
  target: "node12",
  plugins: [runApart],
})
chmodSync(join(fresh, "main.cjs"), 0o755)
const { metafile } = await build({
  ...joined,
  stdin: {
    contents: 'export { run } from "./run.js"; export { openKeyferry } from "./embedded.js"',
    resolveDir: "build/src/cli",
  },
  outfile: join(fresh, "run.cjs"),
  target: "node22",
  plugins: [leanPgBoss],
})
// what a program imports (package.json's "exports")
writeFileSync(join(fresh, "keyferry.mjs"), 'import program from "./run.cjs"\nexport const { openKeyferry } = program\n')
copyFileSync("build/src/cli/embedded.d.ts", join(fresh, "keyferry.d.mts"))

// `import { z }` brings all of zod, with the words of fifty languages; `import * as z` what is used
if (
  Object.values(metafile.outputs).some(
    ({ inputs }) => (inputs["node_modules/zod/v4/locales/ar.js"]?.bytesInOutput ?? 0) > 0,
  )
) {
  throw new Error('zod came whole: write `import * as z from "zod"`')
}
// Each licence asks for its text beside the code.
const packages = Object.keys(metafile.inputs)
  .map((file) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0])
  .filter((folder) => folder !== undefined)
const names = new Set()
const notices = [...new Set(packages)].sort().map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
  names.add(name)
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
  const text = file === undefined ? "" : `\n${readFileSync(join(folder, file), "utf8").trim()}\n`
  return `${name} ${version} (${license})\n${text}`
})
writeFileSync(join(fresh, "THIRD-PARTY-NOTICES.txt"), notices.join(`\n${"-".repeat(80)}\n\n`))
// for the bill of materials of what is packed
writeFileSync("build/bundled.json", JSON.stringify([...names]))

rmSync("dist", { recursive: true, force: true })
renameSync(fresh, "dist")
