import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "chai"

/** The repository's root. */
export const ROOT = fileURLToPath(new URL("../../../", import.meta.url))

/** A fenced block of a page. */
export interface Block {
  /** Path of the page from the root. */
  readonly page: string
  /** Number of the line on which its fence opens, from 1. */
  readonly line: number
  /** What stands after the opening fence; empty where nothing does. */
  readonly language: string
  readonly text: string
  /** NAME of the comment `<!-- run: NAME -->` in the line before it. */
  readonly name: string | undefined
  /** REASON of the comment `<!-- not run: REASON -->` in the line before it. */
  readonly reason: string | undefined
}

/** Languages of blocks that are commands to type. */
const COMMANDS: readonly string[] = ["sh", "bash", "shell", "console"]

export const isCommands = ({ language }: Block): boolean => COMMANDS.includes(language)

/** The pages for readers: those of the root and all under docs/. */
export function pages(): readonly string[] {
  const ofRoot = readdirSync(ROOT).filter((name) => name.endsWith(".md"))
  const ofDocs = readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name))
  return [...ofRoot, ...ofDocs].sort()
}

export const readPage = (page: string): string => readFileSync(join(ROOT, page), "utf8")

/** All fenced blocks of a page, in their order. */
export function blocksOf(page: string): readonly Block[] {
  const blocks: Block[] = []
  const lines = readPage(page).split("\n")
  for (let index = 0; index < lines.length; index += 1) {
    const [, fence = "", language = ""] = /^ *(`{3,})(.*)$/.exec(lines[index] ?? "") ?? []
    if (fence === "") continue
    const end = lines.findIndex((line, after) => after > index && line.trim() === fence)
    if (end < 0) throw new Error(`${page}:${index + 1}: the block has no end`)
    const [, kind, words] = /^ *<!-- (run|not run): (\S.*) -->$/.exec(lines[index - 1] ?? "") ?? []
    blocks.push({
      page,
      line: index + 1,
      language: language.trim(),
      text: `${lines.slice(index + 1, end).join("\n")}\n`,
      name: kind === "run" ? words : undefined,
      reason: kind === "not run" ? words : undefined,
    })
    index = end
  }
  return blocks
}

/** The text of the block that is marked `<!-- run: NAME -->`, on whatever page. */
export function block(name: string): string {
  const marked = pages()
    .flatMap(blocksOf)
    .find((candidate) => candidate.name === name)
  expect(marked, `no page has a block that is marked run: ${name}`).to.not.equal(undefined)
  return marked?.text ?? ""
}

/** Holds the output to the lines that the block promises after `#>`, in their order; `…` stands for anything. */
export function expectPromised(text: string, output: string): void {
  const promised = [...text.matchAll(/^#> (.*)$/gm)].map(([, line = ""]) => line)
  let position = 0
  for (const line of promised) {
    const match = patternOf(line).exec(output.slice(position))
    expect(match, `'${line}' after character ${position} of:\n${output}`).to.not.equal(null)
    position += (match?.index ?? 0) + (match?.[0].length ?? 0)
  }
  const failures = (lines: string): readonly string[] => lines.match(/exit status \d+$/gm) ?? []
  expect(failures(output), output).to.deep.equal(failures(text))
}

function patternOf(line: string): RegExp {
  const parts = line.split(/ *… */).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/ +/g, " +"))
  return new RegExp(parts.join("[^\\n]*"))
}
