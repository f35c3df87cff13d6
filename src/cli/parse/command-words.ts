import { KeyferryError } from "../../core/base/error.js"
import type { OptionTable } from "../command.js"
import { allCommands, COMMAND_NAMES, GROUPS } from "../commands/commands.js"
import { GENERAL } from "../options/options.js"
import { didYouMean, nearest } from "./near.js"
import { looksLikeOption, optionName, plainWords, unknownOption } from "./words.js"

/** `-o` and `-q` and `-h`, which stand for a long option wherever they are. */
const SHORT: Readonly<Record<string, string>> = { h: "help", o: "output", q: "quiet" }

/** Of `check`, as the guidelines for plugins of monitoring have them. */
const SHORT_OF_CHECK: typeof SHORT = { c: "crit", t: "timeout", w: "warn" }

/** The command line in long options alone: `-o wide`, `-o=wide` and `-owide` are `--output wide`. */
export function longForms(words: readonly string[]): readonly string[] {
  const end = words.indexOf("--")
  const names: typeof SHORT = words.includes("check") ? { ...SHORT, ...SHORT_OF_CHECK } : SHORT
  return words.flatMap((word, at) => {
    const [, letter = "", suffix = ""] = end !== -1 && at > end ? [] : (/^-([a-z])(.*)$/s.exec(word) ?? [])
    const name = Object.hasOwn(names, letter) ? names[letter] : undefined
    if (name === undefined) return [word]
    if (suffix === "") return [`--${name}`]
    return name === "help" || name === "quiet" ? [word] : [`--${name}=${suffix.replace(/^=/, "")}`]
  })
}

/**
 * The command line with `help COMMAND` as `COMMAND --help`, once it is known that it names a command, or nothing yet.
 *
 * @throws ERR_USAGE with the nearest names of commands
 */
export async function understood(words: readonly string[]): Promise<readonly string[]> {
  const general = plainWords(words, GENERAL)
  if (general[0] === "help") {
    const nameWords = general.slice(1)
    const name = nameWords.length === 0 ? "" : nameOf(nameWords)
    if (name === undefined) throw unknownCommand(nameWords)
    const [unexpected] = nameWords.slice(name === "" ? 0 : name.split(" ").length)
    if (unexpected !== undefined) throw unexpectedAfter(name, unexpected, nameWords)
    return [...nameWords, "--help"]
  }
  if (general.length === 0 || isNamed(general)) return words
  // options of a command may stand before it
  const tables = (await allCommands()).map(({ options }) => options)
  const options: OptionTable = Object.assign({}, GENERAL, ...tables) as OptionTable
  for (const word of words.slice(0, words.indexOf(general[0] ?? "")))
    if (looksLikeOption(word) && !Object.hasOwn(options, optionName(word))) throw unknownOption(word, options)
  const plain = plainWords(words, options)
  if (plain.length === 0 || isNamed(plain)) return words
  throw unknownCommand(plain)
}

/** The command, or the group of commands, that the first words name. */
function nameOf([word1 = "", word2 = ""]: readonly string[]): string | undefined {
  const names = [`${word1} ${word2}`, word1]
  return names.find((name) => COMMAND_NAMES.includes(name) || (name === word1 && Object.hasOwn(GROUPS, name)))
}

/** Whether they name a command, or a group alone, whose commands are still to be chosen from. */
function isNamed(plain: readonly string[]): boolean {
  const name = nameOf(plain)
  if (name === undefined) return false
  // `agent paus`: a command that takes no word of its own but those of its commands
  if (hasCommands(name) && plain.length > 1) return false
  return COMMAND_NAMES.includes(name) || plain.length === 1
}

/** Whether a command is the first word of others as well. */
function hasCommands(name: string): boolean {
  return COMMAND_NAMES.includes(name) && COMMAND_NAMES.some((other) => other.startsWith(`${name} `))
}

function unexpectedAfter(name: string, unexpected: string, nameWords: readonly string[]): KeyferryError {
  if (Object.hasOwn(GROUPS, name)) return unknownCommand(nameWords)
  return new KeyferryError("ERR_USAGE", `unexpected argument: '${unexpected}'`)
}

function unknownCommand([word1 = "", word2]: readonly string[]): KeyferryError {
  const isGroup = Object.hasOwn(GROUPS, word1) || hasCommands(word1)
  const candidates = isGroup ? nearestOf(word1, word2 ?? "") : nearestAlone(word1, word2)
  const written = isGroup ? `${word1} ${word2 ?? ""}` : word1
  const words = didYouMean(candidates.map((name) => `\`${name}\``))
  return new KeyferryError("ERR_USAGE", `unknown command: ${written}${words}`)
}

/** Commands of a group by their last word; else whatever has that word in another group. */
function nearestOf(group: string, word: string): readonly string[] {
  const inGroup = COMMAND_NAMES.filter((name) => name.startsWith(`${group} `))
  const candidates = nearest(word, inGroup.map(lastWord))
  if (candidates.length > 0) return inGroup.filter((name) => candidates.includes(lastWord(name)))
  return nearestAlone(word, undefined)
}

function nearestAlone(word1: string, word2: string | undefined): readonly string[] {
  const candidates = word2 === undefined ? [] : nearest(`${word1} ${word2}`, COMMAND_NAMES)
  if (candidates.length > 0) return candidates
  const whole = nearest(word1, [...COMMAND_NAMES, ...Object.keys(GROUPS), "help"])
  if (whole.length > 0) return whole
  const lastWords = nearest(word1, COMMAND_NAMES.map(lastWord))
  return COMMAND_NAMES.filter((name) => lastWords.includes(lastWord(name)))
}

const lastWord = (name: string): string => name.split(" ").at(-1) ?? ""
