import { KeyferryError } from "../../core/base/error.js"
import { checkForm } from "../options/arguments.js"
import type { AnyCommand, OptionTable } from "../command.js"
import { GENERAL } from "../options/options.js"

/** The command line word by word, held to rules that yargs does not know: it would guess, or let the last one win. */

const OPTION_WORD = /^--([^=]+)(?:=(.*))?$/s

/** As yargs tells options from values: `-90d` is a value. */
const looksLikeOption = (word: string): boolean => /^-[^0-9]/.test(word)

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
    if (option === undefined) throw usage(`unknown argument: ${word}`)
    if (names.has(name) && option.array !== true) throw usage(`--${name} is given more than once`)
    names.add(name)
    if (option.type === "boolean") {
      if (value !== undefined && !["true", "false"].includes(value)) throw usage(`--${name} takes no value`)
      continue
    }
    if (value === undefined) index += 1
    checkValue(name, value ?? words[index])
  }
  // yargs does not count what stands behind `--` among the names
  if (command.names !== undefined && !words.includes("--")) return
  const ownWords = [command.positional, command.path].filter((positional) => positional !== undefined)
  const mostWords = command.name.split(" ").length + ownWords.length
  const [unexpected] = plain.slice(mostWords)
  if (unexpected !== undefined) throw usage(`unexpected argument: '${unexpected}'`)
}

function checkValue(name: string, value: string | undefined): void {
  if (value === undefined) throw usage(`--${name} needs a value`)
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
