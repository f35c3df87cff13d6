import { assessAttributes, findingsText } from "../../core/key/custody.js"
import { KeyferryError } from "../../core/base/error.js"
import { proofUsages, type SourceKey } from "../../core/key/source-key.js"

/** Custodies that a key of the token can be taken into. */
export const ADOPT_CUSTODIES = ["sealed", "token", "locked"] as const

export type AdoptCustody = (typeof ADOPT_CUSTODIES)[number]

/**
 * Judges a key that keyferry did not make. Refused is what could be read, or could not be carried, and for a key that
 * stays an object every usage that is not its own; in the vault it has no usage. What remains is said in words.
 *
 * @throws ERR_KEY_ATTRIBUTES, ERR_KEY_NOT_EXTRACTABLE
 */
export function judgeAdopted({ label, id, keySpec, attributes }: SourceKey, custody: AdoptCustody): readonly string[] {
  const key = `${label || "no label"} (${id || "no ID"})`
  if (attributes.sensitive !== true) {
    throw new KeyferryError(
      "ERR_KEY_ATTRIBUTES",
      `${key}: CKA_SENSITIVE is ${String(attributes.sensitive ?? "unknown")}, so it can be read out of the token`,
      {
        key,
        hint: "a key that can be read is no HSM key: generate one, or set CKA_SENSITIVE if you know that nobody read it",
      },
    )
  }
  if (attributes.extractable !== true) {
    throw new KeyferryError(
      "ERR_KEY_NOT_EXTRACTABLE",
      `${key}: CKA_EXTRACTABLE is ${String(attributes.extractable ?? "unknown")}, so it cannot be carried`,
      { key },
    )
  }
  // a locked key is extractable until its import is proven
  const findings = assessAttributes(attributes, "token", proofUsages(keySpec))
  if (findings.length > 0 && custody !== "sealed") {
    throw new KeyferryError(
      "ERR_KEY_ATTRIBUTES",
      `${key} is not as custody ${custody} asks: ${findingsText(findings)}`,
      {
        key,
        hint: "take those usages away with the vendor's tool, or adopt it with --custody sealed, where it has none",
      },
    )
  }
  return [
    attributes.local !== true &&
      `${key}: CKA_LOCAL is ${inWords(attributes.local)}: this token did not generate it, so copies may exist elsewhere`,
    attributes.alwaysSensitive !== true &&
      `${key}: CKA_ALWAYS_SENSITIVE is ${inWords(attributes.alwaysSensitive)}: it may have been readable once`,
    findings.length > 0 && `${key}: until now ${findingsText(findings)}; in the vault it has no such attribute`,
  ].filter((text) => text !== false)
}

const inWords = (value: boolean | null): string => (value === null ? "not told by the token" : String(value))
