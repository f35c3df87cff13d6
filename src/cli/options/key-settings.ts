import { type ErrorCode, KeyferryError } from "../../core/base/error.js"
import { tagFault } from "../../core/key/aws-name.js"
import {
  type ChangesFor,
  type KeySettings,
  SETTING_NAMES,
  type SettingName,
  settingOf,
  settingsFor,
  type SettingsFor,
} from "../../core/manifest/key-settings.js"
import type { Form, SettingsCommand } from "../../core/manifest/setting.js"
import { settingFaults, settingValue, usageFor } from "../../core/manifest/settings-check.js"
import type { OptionTable } from "../command.js"

/** Flags of what can be asked of a key (KEY_SETTINGS): their options, and the settings that they give. */

type Args = Readonly<Record<string, unknown>>

/** Names of the settings for which a command has a flag. */
function flagged(command: SettingsCommand): readonly SettingName[] {
  return SETTING_NAMES.filter((name) => settingOf(name).flag !== null && settingOf(name).commands.includes(command))
}

/** The options of a command, in the order of the table. What is not given to `replace` is as it was. */
export function settingOptions(command: SettingsCommand): object {
  const options: readonly (readonly [string, OptionTable[string]])[] = flagged(command).map((name) => {
    const { flag, words, form, absent } = settingOf(name)
    const isText = typeof absent === "string" || form.kind === "switch"
    const describe = `${words}${WAYS[form.kind]}`
    const before = { describe: `${describe} [as before]` }
    const fresh = isText ? { describe, default: absent } : { describe }
    return [flag ?? "", { ...optionOf(form), ...(command === "replace" ? before : fresh) }]
  })
  return Object.fromEntries(options)
}

/** What help says besides of how a form is given. */
const WAYS: Readonly<Record<Form["kind"], string>> = {
  choice: "",
  text: "",
  number: "",
  switch: "",
  list: "; may be given again",
  tags: ", KEY=VALUE; may be given again",
  json: "; give a file or JSON",
}

/** What yargs is told of a form. */
function optionOf(form: Form): OptionTable[string] {
  switch (form.kind) {
    case "choice":
      return { choices: form.choices }
    case "switch":
      return { type: "boolean" }
    case "text":
    case "number":
    case "json":
      return { type: "string", requiresArg: true }
    case "list":
    case "tags":
      return { type: "string", array: true, requiresArg: true }
  }
}

/**
 * What the flags of a command ask of a key that is to be made.
 *
 * @throws ERR_USAGE; ERR_INPUT_UNREADABLE for the file of a key policy
 */
export async function settingsFrom<Command extends SettingsCommand>(
  command: Command,
  args: Args,
): Promise<SettingsFor<Command>> {
  const written = await writtenBy(command, args)
  const settings = allSettings(written)
  const { keySpec, keyUsage } = settings
  if (flagged(command).includes("keyUsage")) {
    const { usage, fault } = usageFor(keySpec, keyUsage)
    if (fault !== null) throw faultOf("keyUsage", written, fault)
    return checked(command, { ...settings, keyUsage: usage }, written)
  }
  return checked(command, settings, written)
}

/**
 * What the flags of a command ask of a key that there is; null for what they do not name.
 *
 * @throws as {@link settingsFrom}
 */
export async function changesFrom<Command extends SettingsCommand>(
  command: Command,
  args: Args,
): Promise<ChangesFor<Command>> {
  const written = await writtenBy(command, args)
  const changes = flagged(command).map((name) => [
    name,
    written.has(name) ? settingValue(name, written.get(name)) : null,
  ])
  return Object.fromEntries(changes) as ChangesFor<Command>
}

type WrittenFlags = ReadonlyMap<SettingName, unknown>

/** Flags in the form in which a file would say the same, each checked by itself. */
async function writtenBy(command: SettingsCommand, args: Args): Promise<WrittenFlags> {
  const written = new Map<SettingName, unknown>()
  for (const name of flagged(command)) {
    const { flag, form, fault } = settingOf(name)
    const argument = args[camelCase(flag ?? "")]
    if (argument === undefined) continue
    written.set(name, await WRITTEN[form.kind](argument, flag ?? ""))
    const message = fault?.(written.get(name))
    if (message !== undefined) throw faultOf(name, written, message)
  }
  return written
}

const asGiven = (argument: unknown): unknown => argument

/** What a flag gives, in the form of the file. */
const WRITTEN: Readonly<Record<Form["kind"], (argument: unknown, flag: string) => unknown>> = {
  choice: asGiven,
  text: asGiven,
  number: Number,
  switch: asGiven,
  list: asGiven,
  tags: (texts, flag) => tagsOf(texts as readonly string[], flag),
  json: async (pathOrJson) => await jsonText(String(pathOrJson)),
}

/** `KEY=VALUE` as often as given; keyferry's own tags and AWS' are not for users. */
function tagsOf(texts: readonly string[], flag: string): Readonly<Record<string, string>> {
  const tags: Record<string, string> = {}
  for (const text of texts) {
    const equals = text.indexOf("=")
    const [key, value] = [text.slice(0, Math.max(equals, 0)), text.slice(equals + 1)]
    const fault =
      (key === "" ? "is not KEY=VALUE" : tagFault(key, value)) ??
      (Object.hasOwn(tags, key) ? "repeats a key" : undefined)
    if (fault !== undefined) throw usage(`--${flag} '${text}' ${fault}`)
    tags[key] = value
  }
  return tags
}

/** JSON as it stands, which begins with a brace, or what is in the file of that path. */
async function jsonText(pathOrJson: string): Promise<string> {
  if (pathOrJson.trimStart().startsWith("{")) return pathOrJson
  const { readTextInput } = await import("../../store/transfer/input.js")
  return await readTextInput(pathOrJson)
}

function allSettings(written: WrittenFlags): KeySettings {
  const values = SETTING_NAMES.map((name) => [name, settingValue(name, written.get(name))])
  return Object.fromEntries(values) as KeySettings
}

function checked<Command extends SettingsCommand>(
  command: Command,
  settings: KeySettings,
  written: WrittenFlags,
): SettingsFor<Command> {
  for (const { setting, message, code } of settingFaults(settings)) throw faultOf(setting, written, message, code)
  return settingsFor(command, settings)
}

/** `--alias 'a b' is no alias`; a switch, a list and JSON without their value. */
function faultOf(
  name: SettingName,
  written: WrittenFlags,
  fault: string,
  code: ErrorCode = "ERR_USAGE",
): KeyferryError {
  const { flag, form } = settingOf(name)
  const value = written.get(name)
  const isShown = typeof value === "string" && form.kind !== "json"
  return new KeyferryError(code, `--${flag ?? name} ${isShown ? `'${value}' ` : ""}${fault}`)
}

const usage = (message: string): KeyferryError => new KeyferryError("ERR_USAGE", message)

const camelCase = (flag: string): string => flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
