import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { expect } from "chai"
import { type Block, blocksOf, isCommands, pages, readPage, ROOT } from "../support/docs-blocks.js"

const all = pages().flatMap(blocksOf)
const commands = all.filter(isCommands)
const run = commands.filter(({ name }) => name !== undefined)
const skipped = commands.filter(({ reason }) => reason !== undefined)
const place = ({ page, line }: Block): string => `${page}:${line}`

/** Names that tests of this folder give to `block` or to a function of theirs that does. */
const tested = readdirSync(join(ROOT, "test/docs"))
  .map((file) => readFileSync(join(ROOT, "test/docs", file), "utf8"))
  .join("\n")

describe(`blocks of commands in the pages: ${run.length} are run, ${skipped.length} are not`, () => {
  it("say that they are run, or why not", () => {
    for (const { page, line, reason = "" } of skipped)
      process.stdout.write(`      not run: ${page}:${line}: ${reason}\n`)
    const unmarked = commands.filter(({ name, reason }) => name === undefined && reason === undefined)
    expect(unmarked.map(place)).to.deep.equal([])
  })

  it("name their language, so that no commands go unseen", () => {
    expect(all.filter(({ language }) => language === "").map(place)).to.deep.equal([])
  })

  it("have names of their own, each of which a test runs", () => {
    const names = run.map(({ name }) => name)
    expect(names).to.deep.equal([...new Set(names)])
    expect(names.filter((name) => !tested.includes(`"${name}"`))).to.deep.equal([])
  })
})

describe("the pages", () => {
  it("link to what is there", () => {
    const dead = pages().flatMap((page) =>
      linksOf(page)
        .filter((link) => !leadsSomewhere(page, link))
        .map((link) => `${page}: ${link}`),
    )
    expect(dead).to.deep.equal([])
  })

  it("name only tests and sources that are there", () => {
    const missing = pages().flatMap((page) =>
      [...readPage(page).matchAll(/`((?:test|src|scripts|docker|softhsm)\/[^`\s]+)`/g)]
        .map(([, path = ""]) => path)
        .filter((path) => /\.\w+$|\/$|\*/.test(path) && !path.includes("NAME") && !isThere(path))
        .map((path) => `${page}: ${path}`),
    )
    expect(missing).to.deep.equal([])
  })

  it("keep README short: 8,000 to 10,000 bytes", () => {
    expect(Buffer.byteLength(readPage("README.md"))).to.be.within(8000, 10_000)
  })

  it("draw and type no wider than a terminal of 80 columns in README", () => {
    const wide = blocksOf("README.md").flatMap(({ text }) => text.split("\n").filter((line) => line.length > 80))
    expect(wide).to.deep.equal([])
  })

  it("give each invariant a line in the threat model, with its test", () => {
    const rows = readPage("docs/threat-model.md").split("\n")
    for (let number = 1; number <= 13; number += 1) {
      const row = rows.find((line) => line.startsWith(`| I${number} `))
      expect(row, `I${number}`).to.match(/`test\/[^`]+`/)
    }
  })
})

const linksOf = (page: string): readonly string[] =>
  [...readPage(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link).filter((link) => !/^[a-z]+:/.test(link))

/** Whether a link of a page leads to a file, and its fragment to a heading. */
function leadsSomewhere(page: string, link: string): boolean {
  const [path = "", fragment] = link.split("#")
  const file = path === "" ? page : join(dirname(page), path)
  if (!existsSync(join(ROOT, file))) return false
  return fragment === undefined || anchorsOf(file).includes(fragment)
}

/** The anchors that GitHub gives to headings. */
const anchorsOf = (page: string): readonly string[] =>
  [...readPage(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  )

/** Whether a path of the checkout, perhaps with one `*` in its last part, names something. */
function isThere(path: string): boolean {
  const [start = "", end] = path.split("*")
  if (end === undefined) return existsSync(join(ROOT, path))
  const folder = dirname(start)
  return readdirSync(join(ROOT, folder)).some((name) => join(folder, name).startsWith(start) && name.endsWith(end))
}
