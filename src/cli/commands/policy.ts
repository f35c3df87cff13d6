import { KeyferryError } from "../../core/base/error.js"
import type { PolicyDocument } from "../../core/policy/document.js"
import { notifiedIn } from "../../core/policy/notified.js"
import type { PolicyScope } from "../../core/policy/needs.js"
import type { Manifest } from "../../core/manifest/manifest.js"
import type { Output, Surroundings } from "../command.js"
import { namesOf } from "../options/arguments.js"

export const PRINCIPAL = {
  type: "string",
  array: true,
  requiresArg: true,
  describe: "ARN of the role or user that keyferry works as; default: roleArn of the targets",
} as const

export const NOTIFY = {
  type: "string",
  array: true,
  requiresArg: true,
  describe: "ARN of what is to be told, an SNS topic for one; may be given again",
} as const

export const TARGET = { type: "string", requiresArg: true, describe: "only the keys of this target" } as const

/** A printed policy is of one account, alarms and rules in a stack of one Region. */
export const KEY_NAMES = { describe: "keys to make it for; all of the configuration where none is named" } as const

export const FORMAT = {
  choices: ["json", "cloudformation", "terraform"],
  default: "json",
  describe:
    "JSON as AWS' own API takes it, a CloudFormation template, or Terraform in its JSON syntax (a file *.tf.json)",
} as const

export type Format = "json" | "cloudformation" | "terraform"

interface Forms {
  readonly json: () => object
  readonly cloudformation: () => object
  readonly terraform: () => object
}

export const formed = (format: Format, forms: Forms): Output => {
  const content = forms[format]()
  return { result: { format, content }, text: () => JSON.stringify(content, null, 2) }
}

/** @throws ERR_USAGE without a configuration file */
export async function manifestOf({ world }: Pick<Surroundings, "world">): Promise<Manifest> {
  const { manifest } = await world.settings()
  if (manifest !== null) return manifest
  throw new KeyferryError("ERR_USAGE", "a policy is made for the keys of a configuration file, and none is given", {
    hint: "give --config FILE; `keyferry init` writes one",
  })
}

export const scopeOf = (args: { readonly target?: string | undefined }): PolicyScope => ({
  target: args.target ?? null,
  names: namesOf({ ...args }),
})

const PRINCIPAL_ARN = /^arn:aws[a-z-]*:(iam::\d{12}:(role|user)\/|sts::\d{12}:assumed-role\/)[\w+=,.@/*?-]+$/

interface PrincipalForms {
  readonly option: string
  /** Sessions of a role: no condition key and no field of CloudTrail that is compared with names one. */
  readonly sessions: boolean
  /** `*` and `?` in the name. */
  readonly patterns: boolean
  /** Of the keys: there are no identities of another one. */
  readonly partition: string
}

const PLAIN: Omit<PrincipalForms, "partition"> = { option: "principal", sessions: false, patterns: false }

/** Those of the flag, or the targets' roles. @throws ERR_USAGE */
export function principalsOf(
  flags: readonly string[] | undefined,
  roles: readonly string[],
  forms: Pick<PrincipalForms, "partition"> & Partial<PrincipalForms>,
): readonly string[] {
  const { option, sessions, patterns, partition } = { ...PLAIN, ...forms }
  const principals = flags ?? roles
  for (const arn of principals) {
    const refused = (fault: string, hint?: string): KeyferryError =>
      new KeyferryError("ERR_USAGE", `--${option} '${arn}' ${fault}`, hint === undefined ? {} : { hint })
    if (!PRINCIPAL_ARN.test(arn)) throw refused("is not the ARN of an IAM role or user")
    if (!arn.startsWith(`arn:${partition}:`)) throw refused(`is not in ${partition}, where the keys are`)
    if (!patterns && /[*?]/.test(arn)) throw refused("has a wildcard, which counts for nothing there", "name each role")
    if (!sessions && arn.includes(":assumed-role/")) {
      throw refused("is a session of a role, and is compared with roles", "give the role: arn:…:iam::ACCOUNT:role/NAME")
    }
  }
  if (principals.length > 0) return principals
  throw new KeyferryError("ERR_USAGE", "as whom keyferry works is not known: no target has a roleArn", {
    hint: `give --${option} ARN, or roleArn in the target`,
  })
}

const ARN = /^arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(\d{12})?:[\w+=,.@:/#-]+$/

/**
 * ARNs of what is told, for alarms or rules in these Regions: each Region has one, since AWS reaches what is in the same
 * Region alone.
 *
 * @throws ERR_USAGE
 */
export function notifyOf(flags: readonly string[] | undefined, regions: readonly string[]): readonly string[] {
  const notify = flags ?? []
  const wrong = notify.find((arn) => !ARN.test(arn))
  if (wrong !== undefined) throw new KeyferryError("ERR_USAGE", `--notify '${wrong}' is not an ARN`)
  const untold = notify.length === 0 ? undefined : regions.find((region) => notifiedIn(region, notify).length === 0)
  if (untold === undefined) return notify
  throw new KeyferryError("ERR_USAGE", `no --notify is in ${untold}, and only what is in the same Region can be told`, {
    hint: `give --notify once more, with an ARN in ${untold}, or --region for one Region alone`,
  })
}

/** Characters that AWS lets a policy have, by its kind, blanks left out (IAM and Organizations quotas, KMS PutKeyPolicy). */
const LIMITS = {
  managed: {
    longest: 6144,
    words: "a managed policy of IAM",
    hint: "give --target or names, and attach several; an inline policy of a role has 10240",
  },
  control: { longest: 5120, words: "a service control policy", hint: "give --target or names, and attach several" },
  key: { longest: 32_768, words: "a key policy", hint: "give fewer --principal" },
} as const

/** What is beyond AWS' limit of such a policy, or is open although the configuration could say it. */
export function remarksOn(
  document: PolicyDocument,
  account: string | null,
  kind: keyof typeof LIMITS,
): readonly string[] {
  const { longest, words, hint } = LIMITS[kind]
  const length = JSON.stringify(document).length
  return [
    ...(account === null
      ? ["the policy holds for any account, since no target names its own: account of a target says it"]
      : []),
    ...(length > longest ? [`the policy has ${length} characters, and ${words} at most ${longest}: ${hint}`] : []),
  ]
}

/** A stack is of one Region. @throws ERR_USAGE */
export function refuseManyRegions(
  format: Format,
  regions: readonly string[],
  hint = "give --region REGION, and make a stack in each",
): void {
  if (format !== "cloudformation" || new Set(regions).size < 2) return
  throw new KeyferryError(
    "ERR_USAGE",
    `a stack is of one Region, and these are in ${[...new Set(regions)].join(", ")}`,
    { hint },
  )
}
