import {
  type Document,
  isMap,
  isPair,
  isScalar,
  isSeq,
  Lexer,
  type LineCounter,
  parseDocument,
  visit,
  type YAMLError,
} from "yaml"
import type { Fault } from "./fault.js"

export interface YamlFile {
  readonly document: Document.Parsed
  readonly value: unknown
}

/** Aliases that may be resolved in all: a handful of shared settings, not a bomb. */
const MOST_ALIASES = 100

/** What the parser's codes mean, where its own words would quote the file or say little. */
const WORDS: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: "the same key stands here twice in one mapping",
  TAB_AS_INDENT: "a tab is used to indent: YAML wants spaces",
  MULTIPLE_DOCS: "a second document begins here: the file holds one",
  TAG_RESOLVE_FAILED: "a tag that the file may not use",
  BAD_ALIAS: "an alias that names no anchor",
}

/** Reads YAML 1.2, which JSON is part of; the faults are those of YAML itself. */
export function parseYaml(text: string, lineCounter: LineCounter): YamlFile | { readonly faults: readonly Fault[] } {
  const nested = tooDeep(text)
  if (nested !== null) return { faults: [nested] }
  // the parser's own check for repeated keys compares each with each, which takes minutes of a file that repeats many
  const document = parseDocument(text, { ...OPTIONS, lineCounter, uniqueKeys: false })
  const problems = [...document.errors, ...document.warnings].map((problem) => yamlFault(problem, lineCounter))
  const faults = [...problems, ...repeatedKeys(document, lineCounter)]
  if (faults.length > 0) return { faults }
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
    return { faults: [{ path: [], message: "is empty" }] }
  }
  try {
    return { document, value: document.toJS({ maxAliasCount: MOST_ALIASES }) as unknown }
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error
    const unresolved = /unresolved alias/i.test(error.message)
    const message = unresolved ? "has an alias that names no anchor" : "has more aliases than any settings need"
    return { faults: [{ path: [], message }] }
  }
}

const OPTIONS = { prettyErrors: false, stringKeys: true, version: "1.2", schema: "core", logLevel: "error" } as const

/** The file's own settings are six deep: what is nested so deep is no such file, and the parser calls itself for each. */
const MOST_NESTED = 100

/** The bracket that opens too many within each other; null where none does. */
function tooDeep(text: string): Fault | null {
  let depth = 0
  for (const lexeme of new Lexer().lex(text)) {
    if (lexeme === "[" || lexeme === "{") depth += 1
    if (lexeme === "]" || lexeme === "}") depth -= 1
    if (depth > MOST_NESTED) return { path: [], message: `more than ${MOST_NESTED} brackets are open here` }
  }
  return null
}

/** A key that stands twice in its mapping, each time but the first. */
function repeatedKeys(document: Document.Parsed, lines: LineCounter): readonly Fault[] {
  const faults: Fault[] = []
  visit(document, {
    Map(_, { items }) {
      const keys = new Set<unknown>()
      for (const { key } of items) {
        const name = isScalar(key) ? key.value : key
        if (keys.has(name)) faults.push(repeatedAt(startOf(key) ?? 0, lines))
        keys.add(name)
      }
    },
  })
  return faults
}

function repeatedAt(offset: number, lines: LineCounter): Fault {
  const { line, col } = lines.linePos(offset)
  return { path: [], message: WORDS["DUPLICATE_KEY"] ?? "", at: { line, column: col } }
}

function yamlFault({ code, pos, message }: YAMLError, lines: LineCounter): Fault {
  const { line, col } = lines.linePos(pos[0])
  return { path: [], message: WORDS[code] ?? lowerCase(message), at: { line, column: col } }
}

const lowerCase = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1)

/** Where the path leads: to the key of a mapping, or to an entry of a list; as far as the file goes along it. */
export function positionOf(
  { document }: YamlFile,
  path: Fault["path"],
  lines: LineCounter,
): { readonly line: number; readonly column: number } {
  let node: unknown = document.contents
  let offset = startOf(node) ?? 0
  for (const part of path) {
    const next = isMap(node)
      ? node.items.find((pair) => isScalar(pair.key) && String(pair.key.value) === part)
      : isSeq(node)
        ? node.items[Number(part)]
        : undefined
    if (next === undefined) break
    offset = startOf(isPair(next) ? next.key : next) ?? offset
    node = isPair(next) ? next.value : next
  }
  const { line, col } = lines.linePos(offset)
  return { line, column: col }
}

function startOf(node: unknown): number | undefined {
  if (typeof node !== "object" || node === null || !("range" in node)) return undefined
  const { range } = node as { range?: readonly number[] | null }
  return range?.[0]
}
