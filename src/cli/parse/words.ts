import { KeyferryError } from "../../core/base/error.js"
import { checkForm } from "../options/arguments.js"
import type { AnyCommand, OptionTable } from "../command.js"
import { GENERAL } from "../options/options.js"
import { didYouMean, nearest } from "./near.js"

/** The command line word by word, held to rules that yargs does not know: it would guess, or let the last one win. */

const OPTION_WORD = /^--([^=]+)(?:=(.*))?$/s

/** As yargs tells options from values: `-90d` is a value. */
export const looksLikeOption = (word: string): boolean => /^-[^0-9]/.test(word)

/** `name` of `--name=a`, with one hyphen too, which is an option's name misspelt. */
export const optionName = (word: string): string => word.replace(/^--?/, "").replace(/=.*/s, "")

export function unknownOption(word: string, options: OptionTable): KeyferryError {
  const near = nearest(optionName(word), [...Object.keys(options), "help", "version"])
  return usage(`unknown argument: ${word.replace(/=.*/s, "")}${didYouMean(near.map((name) => `--${name}`))}`)
}

/**
 * Refuses what yargs takes without a word: options that are given again, empty values, words that belong to nothing,
 * and other spellings of an option's name.
 *
 * @throws ERR_USAGE
 */
export function checkWords(words: readonly string[], command: AnyCommand): void {
  const options: OptionTable = { ...GENERAL, ...command.options }
  const names = new Set<string>()
  const plain: string[] = []
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? ""
    if (word === "--") {
      plain.push(...words.slice(index + 1))
      break
    }
    if (!looksLikeOption(word)) {
      plain.push(word)
      continue
    }
    const [, name = "", value] = OPTION_WORD.exec(word) ?? []
    const option = Object.hasOwn(options, name) ? options[name] : undefined
    if (option === undefined) throw unknownOption(word, options)
    if (names.has(name) && option.array !== true) throw usage(`--${name} is given more than once`)
    names.add(name)
    if (option.type === "boolean") {
      if (value !== undefined && !["true", "false"].includes(value)) throw usage(`--${name} takes no value`)
      continue
    }
    if (value === undefined) index += 1
    const next = words[index]
    checkValue(name, value ?? (next !== undefined && looksLikeOption(next) ? undefined : next))
  }
  // yargs does not count what stands behind `--` among the names
  if (command.names !== undefined && !words.includes("--")) return
  const ownWords = [command.positional, command.path].filter((positional) => positional !== undefined)
  const mostWords = command.name.split(" ").length + ownWords.length
  const [unexpected] = plain.slice(mostWords)
  if (unexpected !== undefined) {
    const flags = ["key", "name"].filter((name) => Object.hasOwn(options, name) && !names.has(name))
    throw usage(`unexpected argument: '${unexpected}'${didYouMean(flags.map((name) => `--${name} ${unexpected}`))}`)
  }
}

/** Words that are neither options nor their values. */
export function plainWords(words: readonly string[], options: OptionTable): readonly string[] {
  const plain: string[] = []
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? ""
    if (word === "--") return [...plain, ...words.slice(at + 1)]
    if (!looksLikeOption(word)) {
      plain.push(word)
      continue
    }
    const option = options[optionName(word)]
    if (option !== undefined && option.type !== "boolean" && !word.includes("=")) at += 1
  }
  return plain
}

function checkValue(name: string, value: string | undefined): void {
  if (value === undefined || value === "--") throw usage(`--${name} needs a value`)
  if (value === "") throw usage(`--${name} is empty`)
  checkForm(name, value)
}

function usage(message: string): KeyferryError {
  return new KeyferryError("ERR_USAGE", message)
}

/** Whether the answer is to be JSON, asked of a command line that may not parse: rather once too often. */
export function asksForJson(words: readonly string[]): boolean {
  return words.some(
    (word, index) =>
      (/^--json(=|$)/.test(word) && word !== "--json=false") ||
      word === "--output=json" ||
      (word === "--output" && words[index + 1] === "json"),
  )
}

/** Whether the word to complete, the last one, is the value of an option that can have any. */
export function valueIsDue(words: readonly string[], commands: readonly AnyCommand[]): boolean {
  const [, name = "", value] = OPTION_WORD.exec(words.at(-2) ?? "") ?? []
  const tables: readonly OptionTable[] = [GENERAL, ...commands.map(({ options }) => options)]
  const option = tables.find((table) => Object.hasOwn(table, name))?.[name]
  return value === undefined && option !== undefined && option.type !== "boolean" && option.choices === undefined
}
