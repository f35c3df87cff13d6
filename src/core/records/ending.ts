import type { CustodyEventName } from "./custody-event.js"
import type { KeyPhase } from "../key/key-state.js"
import type { KeySpec, KeyUsage } from "../key/key-spec.js"

/** The ends of a KMS key's life, and the one step back. */
export const ENDINGS = {
  enable: {
    does: "enabling",
    /** In which there is nothing to do, and from which it can be done. */
    done: ["usable"],
    from: ["disabled"],
    event: "kms-key.enabled",
    /** Whether it takes away what a source key that still exists could give back. */
    lastCopy: false,
    stops: false,
  },
  disable: {
    does: "disabling",
    done: ["disabled"],
    from: ["usable"],
    event: "kms-key.disabled",
    lastCopy: false,
    stops: true,
  },
  "delete-material": {
    does: "deleting the key material of",
    done: [],
    from: ["usable", "disabled", "empty"],
    event: "material.deleted",
    lastCopy: true,
    stops: true,
  },
  "schedule-deletion": {
    does: "scheduling the deletion of",
    done: ["dying"],
    from: ["usable", "disabled", "empty"],
    event: "kms-key.deletion-scheduled",
    lastCopy: true,
    stops: true,
  },
} as const satisfies Record<string, EndingRow>

interface EndingRow {
  readonly does: string
  readonly done: readonly KeyPhase[]
  readonly from: readonly KeyPhase[]
  readonly event: CustodyEventName
  readonly lastCopy: boolean
  readonly stops: boolean
}

export type Ending = keyof typeof ENDINGS

/** What a KMS key does no longer once it cannot be used. */
const STOPS: Readonly<Record<KeyUsage, string>> = {
  ENCRYPT_DECRYPT: "nothing can be encrypted under it, and nothing that was encrypted under it can be decrypted",
  SIGN_VERIFY: "it signs nothing; what it signed can still be verified by whoever has the public key, but not by KMS",
  GENERATE_VERIFY_MAC: "it makes and verifies no MACs",
  KEY_AGREEMENT: "it derives no shared secrets",
}

/** What does not work with a KMS key that cannot be used. */
export const stopsOf = (keyUsage: KeyUsage): string => STOPS[keyUsage]

/** What is known of one KMS key when its end is asked for. */
export interface EndedKey {
  readonly keyArn: string
  readonly region: string
  readonly keyState: string
  readonly aliases: readonly string[]
}

interface Consequences {
  readonly ending: Ending
  readonly name: string
  readonly keySpec: KeySpec
  readonly keyUsage: KeyUsage
  readonly keys: readonly EndedKey[]
  /** RFC 3339: when KMS would delete the keys. */
  readonly deletionDate: string | null
  /** ARNs of other KMS keys under the name, which are left as they are. */
  readonly untouched: readonly string[]
}

/** What will stop working, for whom and until when: a line each, said before anything is done. */
export function consequencesOf(consequences: Consequences): readonly string[] {
  const { ending, name, keyUsage, keys, untouched } = consequences
  const { does, stops } = ENDINGS[ending]
  const lines = keys.map(({ keyArn, aliases, keyState }) => {
    const aliasNames = aliases.length === 0 ? "" : `, known as ${aliases.join(", ")}`
    return `${does} ${keyArn} (${keyState}${aliasNames})`
  })
  if (stops) lines.push(`${STOPS[keyUsage]}: ${UNTIL[ending](consequences)}`)
  if (untouched.length > 0) lines.push(`other KMS keys of ${name} stay as they are: ${untouched.join(", ")}`)
  return lines
}

const UNTIL: Readonly<Record<Ending, (consequences: Consequences) => string>> = {
  enable: () => "",
  disable: ({ name }) => `until \`keyferry enable ${name}\``,
  "delete-material": ({ name }) =>
    `until the same key material is imported again by \`keyferry recover ${name} --yes\``,
  "schedule-deletion": ({ deletionDate, keySpec, keys }) =>
    `at once, and for ever from ${deletionDate ?? "its deletion"}; until then ` +
    `\`aws kms cancel-key-deletion --key-id ${keys[0]?.keyArn ?? ""}\` keeps it` +
    (keySpec === "SYMMETRIC_DEFAULT"
      ? ". No other KMS key opens its ciphertexts, not even one with the same key material"
      : ""),
}
