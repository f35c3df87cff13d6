import { REGION, ROLE_ARN } from "../../core/key/aws-name.js"
import { KeyferryError } from "../../core/base/error.js"
import { isName } from "../../core/key/source-key.js"

/** Checks of option values that yargs cannot make; all throw ERR_USAGE. */

/** Options whose values have one form wherever they are taken. */
const FORMS: Readonly<Record<string, readonly [form: RegExp, fault: string]>> = {
  region: [REGION, "is not the name of an AWS Region"],
  "role-arn": [ROLE_ARN, "is not the ARN of an IAM role"],
}

/** Refuses a value that cannot be right whatever the command. */
export function checkForm(option: string, value: string): void {
  const [form, fault] = FORMS[option] ?? []
  if (form?.test(value) === false) throw new KeyferryError("ERR_USAGE", `--${option} '${value}' ${fault}`)
}

/** The value of an option that the command cannot do without. */
export function needed<T>(option: string, value: T | undefined): T {
  if (value === undefined) throw new KeyferryError("ERR_USAGE", `--${option} is missing`)
  return value
}

export function checkedName(option: string, value: string | undefined, spelling = `--${option}`): string {
  const name = needed(option, value)
  if (isName(name)) return name
  throw new KeyferryError("ERR_USAGE", `${spelling} '${name}' is no name`, {
    hint: "a name has 1 to 63 letters, digits, dots, underscores and hyphens, and starts with a letter or digit",
  })
}

/** A generation of a source key: 0 for the first; undefined for the newest. */
export function checkedGeneration(value: string | undefined): number | undefined {
  if (value === undefined || /^(0|[1-9]\d{0,3})$/.test(value)) return value === undefined ? undefined : Number(value)
  throw new KeyferryError("ERR_USAGE", `--generation '${value}' is no generation`, {
    hint: "0 is the first, 1 that after a rotation",
  })
}

/** The names after a command that takes them (`names` of its definition), each once; none where none is given. */
export function namesOf(args: Readonly<Record<string, unknown>>): readonly string[] {
  const words = args["name"]
  if (!Array.isArray(words)) return []
  return [...new Set(words.map((word) => checkedName("name", String(word), "name")))]
}

/** The names that a command needs one of at least. */
export function someNames(args: Readonly<Record<string, unknown>>): readonly string[] {
  const names = namesOf(args)
  if (names.length === 0) throw new KeyferryError("ERR_USAGE", "give the name of a key")
  return names
}

/** The path that a command takes after its own words, by the name that its definition gives it. */
export function pathOf(args: Readonly<Record<string, unknown>>, name: string): string {
  const path = args[name]
  if (typeof path === "string" && path !== "") return path
  throw new KeyferryError("ERR_USAGE", `the ${name} is missing: give its path`)
}

/** The one name that a command on a single key takes. */
export function nameOf(args: Readonly<Record<string, unknown>>): string {
  const names = namesOf(args)
  const [name, another] = names
  if (another === undefined) return checkedName("NAME", name, "the name")
  throw new KeyferryError("ERR_USAGE", `one name is taken, and ${names.length} are given: ${names.join(", ")}`)
}
