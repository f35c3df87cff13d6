import { aliasName, LONGEST_DESCRIPTION, REGION, ROLE_ARN, tagFault } from "../../core/key/aws-name.js"
import { KeyferryError } from "../../core/base/error.js"
import { KEY_SPECS, type KeySpec, type KeyUsage } from "../../core/key/key-spec.js"
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

export function checkedName(option: string, value: string | undefined, said = `--${option}`): string {
  const name = needed(option, value)
  if (isName(name)) return name
  throw new KeyferryError("ERR_USAGE", `${said} '${name}' is no name`, {
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
  const given = args["name"]
  if (!Array.isArray(given)) return []
  return [...new Set(given.map((word) => checkedName("name", String(word), "name")))]
}

/** The key usage asked for, or the only one that KMS allows for the key spec. */
export function checkedUsage(keySpec: KeySpec, asked: string | undefined): KeyUsage {
  const { usages } = KEY_SPECS[keySpec]
  const [only, another] = usages
  if (asked === undefined && only !== undefined && another === undefined) return only
  const usage = usages.find((one) => one === asked)
  if (usage !== undefined) return usage
  const what = asked === undefined ? `--key-usage is missing for ${keySpec}` : `KMS has no ${keySpec} key for ${asked}`
  throw new KeyferryError("ERR_USAGE", what, { hint: `give --key-usage ${usages.join(" or ")}` })
}

/** `KEY=VALUE` as often as given; keyferry's own tags and AWS' are not for users. */
export function checkedTags(given: readonly string[] | undefined): Readonly<Record<string, string>> {
  const tags: Record<string, string> = {}
  for (const text of given ?? []) {
    const at = text.indexOf("=")
    const [key, value] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)]
    const fault =
      (key === "" ? "is not KEY=VALUE" : tagFault(key, value)) ??
      (Object.hasOwn(tags, key) ? "repeats a key" : undefined)
    if (fault !== undefined) throw new KeyferryError("ERR_USAGE", `--tag '${text}' ${fault}`)
    tags[key] = value
  }
  return tags
}

/** An alias name with its prefix; the prefix may be left out. */
export function checkedAlias(given: string | undefined): string | null {
  if (given === undefined) return null
  const alias = aliasName(given)
  if (alias !== undefined) return alias
  throw new KeyferryError("ERR_USAGE", `--alias '${given}' is no alias`, {
    hint: "an alias is alias/ and letters, digits, slashes, underscores and hyphens; alias/aws/ is reserved",
  })
}

export function checkedDescription(given: string | undefined): string | null {
  if (given !== undefined && given.length > LONGEST_DESCRIPTION) {
    throw new KeyferryError("ERR_USAGE", `--description is longer than ${LONGEST_DESCRIPTION} characters`)
  }
  return given ?? null
}

/** The names of Regions, each once. */
export function checkedRegions(option: string, given: readonly string[] | undefined): readonly string[] {
  for (const region of given ?? []) {
    if (!REGION.test(region)) {
      throw new KeyferryError("ERR_USAGE", `--${option} '${region}' is not the name of an AWS Region`)
    }
  }
  return [...new Set(given)]
}
