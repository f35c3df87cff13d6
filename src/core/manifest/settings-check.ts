import { parseDuration } from "../base/expiry.js"
import { MOST_TAGS } from "../key/aws-name.js"
import { CUSTODIES, type Custody } from "../key/custody.js"
import { KEY_SPECS, type KeySpec, type KeyUsage } from "../key/key-spec.js"
import { type KeySettings, type SettingName, settingOf } from "./key-settings.js"
import { isSpreadTooLong } from "./renewal.js"

/** The key spec whose keys KMS rotates to other imported material. */
const ROTATES: KeySpec = "SYMMETRIC_DEFAULT"

/** What is wrong with a setting, to follow its name: `is missing`. */
export interface SettingFault {
  readonly setting: SettingName
  readonly message: string
  /** What flags are refused with. */
  readonly code: "ERR_USAGE" | "ERR_REPLICA_REFUSED"
}

/** The value of a setting from how it was written; what stands for it where nothing was. */
export function settingValue(name: SettingName, written: unknown): unknown {
  const { parse, absent } = settingOf(name)
  return written === undefined ? absent : parse(written)
}

/** The key usage that is meant, and what is wrong with it: only where KMS allows one need it not be said. */
export function usageFor(
  keySpec: KeySpec,
  keyUsage: KeyUsage | undefined,
): { readonly usage: KeyUsage; readonly fault: string | null } {
  const { usages } = KEY_SPECS[keySpec]
  const [usage = "ENCRYPT_DECRYPT", alternative] = usages
  const goesWith = usages.join(" and with ")
  if (keyUsage === undefined) {
    return {
      usage,
      fault: alternative === undefined ? null : `is missing: ${keySpec} goes with ${usages.join(" or ")}`,
    }
  }
  const fits = usages.includes(keyUsage)
  return { usage: keyUsage, fault: fits ? null : `does not go with ${keySpec}, which goes with ${goesWith}` }
}

/** Any other custody keeps its source key for wrapping alone. */
export function localUseFault(custody: Custody, localUse: boolean): string | undefined {
  return localUse && custody !== "locked" ? `is for custody locked, not ${custody}` : undefined
}

/** The settings that the rules for flags and file look at. */
type Related = Pick<KeySettings, "custody" | "localUse" | "tags" | "multiRegion" | "replicas">

type Rule<Settings> = (settings: Settings) => string | undefined

/** What settings have to do with each other, whoever gives them: a rule a line, under the setting that is then at fault. */
const RULES: readonly (readonly [setting: SettingName, rule: Rule<Related>])[] = [
  ["localUse", ({ custody, localUse }) => localUseFault(custody, localUse)],
  ["tags", ({ tags }) => (Object.keys(tags).length > MOST_TAGS ? `has more than ${MOST_TAGS} tags` : undefined)],
  [
    "replicas",
    ({ multiRegion, replicas }) =>
      replicas.length > 0 && !multiRegion ? "is for a multi-Region key: give --multi-region as well" : undefined,
  ],
  [
    "custody",
    ({ custody, replicas }) =>
      CUSTODIES[custody].reimport || replicas.length === 0
        ? undefined
        : `is ${custody}, which can import only once, and every Region takes an import of its own`,
  ],
]

/** Faults that settings have with each other, whether flags or a file gave them. */
export function settingFaults(settings: Related): readonly SettingFault[] {
  return faultsBy(RULES, settings)
}

/**
 * Rules for what a file says once and keeps: a custody that imports once needs no acknowledgement there, but must be
 * without expiry.
 */
const FILE_RULES: readonly (readonly [setting: SettingName, rule: Rule<KeySettings>])[] = [
  [
    "custody",
    ({ custody, expiresIn }) =>
      CUSTODIES[custody].reimport || expiresIn === "never"
        ? undefined
        : `is ${custody}, which can import only once: expiresIn must be never`,
  ],
  [
    "renewBefore",
    ({ renewBefore, expiresIn }) =>
      renewBefore.kind === "duration" && renewBefore.seconds >= (parseDuration(expiresIn) ?? Infinity)
        ? `is not shorter than expiresIn, ${expiresIn}`
        : undefined,
  ],
  [
    "renewSpread",
    ({ renewBefore, renewSpread, expiresIn }) =>
      isSpreadTooLong((parseDuration(expiresIn) ?? Infinity) * 1000, { renewBefore, renewSpread })
        ? `is longer than half of the time from an import to the next, with expiresIn ${expiresIn}`
        : undefined,
  ],
]

/** As {@link settingFaults}, and what a file alone can get wrong. */
export function fileSettingFaults(settings: KeySettings): readonly SettingFault[] {
  return [...settingFaults(settings), ...faultsBy(FILE_RULES, settings)]
}

function faultsBy<Settings>(
  rules: readonly (readonly [setting: SettingName, rule: Rule<Settings>])[],
  settings: Settings,
): readonly SettingFault[] {
  return rules.flatMap(([setting, rule]) => {
    const message = rule(settings)
    // a custody is at fault for its replicas alone
    const code = setting === "custody" ? "ERR_REPLICA_REFUSED" : "ERR_USAGE"
    return message === undefined ? [] : [{ setting, message, code }]
  })
}

/** What is wrong with `rotateEvery` for a key spec; what `defaults` says of it counts for symmetric keys alone. */
export function rotateFault(keySpec: KeySpec): string | undefined {
  return keySpec === ROTATES ? undefined : `is for ${ROTATES} keys: KMS rotates no ${keySpec} key`
}
