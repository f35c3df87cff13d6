import type { KeySpec } from "./key-spec.js"
import type { KeyAttributes } from "./key-attributes.js"

/** How a source key lives between imports (docs/custody.md). */
export const CUSTODIES = {
  sealed: { reimport: true },
  token: { reimport: true },
  locked: { reimport: false },
  session: { reimport: false },
} as const

export type Custody = keyof typeof CUSTODIES

export const CUSTODY_NAMES = Object.keys(CUSTODIES) as readonly Custody[]

/**
 * What live probing with throw-away keys showed of the promises that custody stands on; null where the token could
 * not be asked. PKCS #11 v3.1 section 4.10 (secret keys) and 4.9 (private keys) say what ought to be true.
 */
export interface EnforcementFacts {
  /** C_WrapKey refuses a key with CKA_EXTRACTABLE=false. */
  readonly extractableFalseRefusesWrap: boolean | null
  /** CKA_EXTRACTABLE=false cannot become true, by C_SetAttributeValue or C_CopyObject. */
  readonly extractableOneWay: boolean | null
  /** CKA_SENSITIVE=true is kept, and cannot become false. */
  readonly sensitiveOneWay: boolean | null
  /** A key with CKA_WRAP_WITH_TRUSTED=true does not leave under an untrusted wrapping key. */
  readonly wrapWithTrustedEnforced: boolean | null
  /** CKA_LOCAL, CKA_ALWAYS_SENSITIVE and CKA_NEVER_EXTRACTABLE tell a generated key from a created one. */
  readonly provenanceHonest: boolean | null
  /** A token object has the attributes that custody `token` asks for. */
  readonly tokenObjectsKept: boolean | null
  /** In words: what is wrong with token objects, or why none could be made; null where they are kept. */
  readonly tokenObjectFlaw: string | null
}

export type EnforcementFact = Exclude<keyof EnforcementFacts, "tokenObjectFlaw">

/** Whether the token keeps what a custody promises, and what it does not keep. */
export interface CustodyVerdict {
  readonly custody: Custody
  readonly enforced: boolean
  readonly reason: string
}

/** Whether the token can seal and unseal keys of one spec, and whether it then keeps what `sealed` promises. */
export interface SealingVerdict {
  /** A key of the spec was sealed, unsealed, wrapped and opened outside the token: exact, and CKA_SENSITIVE throughout. */
  readonly possible: boolean
  /** Besides, what the facts say of a custody key holds: it never leaves. */
  readonly enforced: boolean
  /** `CKM_…` of the RFC 5649 that passed; null if none did. */
  readonly mechanism: string | null
  /** Unsealing changes the length of some EC private keys: those are not kept, and others generated in their place. */
  readonly shortScalars: boolean
  /** In words: what is wrong, or that nothing is. */
  readonly reason: string
}

/** The facts each custody needs, `sealed` for its custody key; `token` and `session` keep an extractable key and so promise only its secrecy. */
const NEEDS: Readonly<Record<Custody, readonly EnforcementFact[]>> = {
  sealed: ["sensitiveOneWay", "tokenObjectsKept", "extractableFalseRefusesWrap", "extractableOneWay"],
  token: ["sensitiveOneWay", "tokenObjectsKept"],
  locked: ["sensitiveOneWay", "tokenObjectsKept", "extractableFalseRefusesWrap", "extractableOneWay"],
  session: ["sensitiveOneWay"],
}

/** In words, to follow "the token": what it does instead, and what it could not be asked about. */
const WORDS: Readonly<Record<EnforcementFact, { readonly broken: string; readonly unasked: string }>> = {
  extractableFalseRefusesWrap: {
    broken: "wraps a key whose CKA_EXTRACTABLE is false",
    unasked: "could not be asked whether it refuses to wrap a key whose CKA_EXTRACTABLE is false",
  },
  extractableOneWay: {
    broken: "lets CKA_EXTRACTABLE go from false to true",
    unasked: "could not be asked whether it keeps CKA_EXTRACTABLE=false",
  },
  sensitiveOneWay: {
    broken: "does not keep CKA_SENSITIVE",
    unasked: "could not be asked whether it keeps CKA_SENSITIVE",
  },
  wrapWithTrustedEnforced: {
    broken: "wraps a CKA_WRAP_WITH_TRUSTED key under an untrusted wrapping key",
    unasked: "could not be asked whether it keeps a CKA_WRAP_WITH_TRUSTED key from an untrusted wrapping key",
  },
  provenanceHonest: {
    broken: "does not tell where a key came from (CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE)",
    unasked:
      "could not be asked whether it tells where a key came from (CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE)",
  },
  tokenObjectsKept: {
    broken: "does not keep the attributes of a token object",
    unasked: "did not make a token object to be tested",
  },
}

export const ENFORCEMENT_FACTS = Object.keys(WORDS) as readonly EnforcementFact[]

/** In words, to follow "the token": each fact that does not hold, or that the token could not be asked about. */
export function shortcomings(
  facts: EnforcementFacts,
  needed: readonly EnforcementFact[] = ENFORCEMENT_FACTS,
): readonly string[] {
  return needed
    .filter((fact) => facts[fact] !== true)
    .map((fact) => {
      const words = facts[fact] === null ? WORDS[fact].unasked : WORDS[fact].broken
      const flaw = fact === "tokenObjectsKept" ? facts.tokenObjectFlaw : null
      return flaw === null ? words : `${words} (${flaw})`
    })
}

/**
 * Judges every custody by what probing showed; `sealed` besides wants a {@link SealingVerdict} of the key spec. Where
 * sealing AES keys was probed, which every custody key must do, `sealed` is judged by that too.
 */
export function judgeCustodies(facts: EnforcementFacts, aes?: SealingVerdict): readonly CustodyVerdict[] {
  return CUSTODY_NAMES.map((custody) => {
    if (custody === "sealed" && aes?.possible === false) return { custody, enforced: false, reason: aes.reason }
    const broken = shortcomings(facts, NEEDS[custody])
    if (broken.length > 0) return { custody, enforced: false, reason: `the token ${broken.join(", ")}` }
    return { custody, enforced: true, reason: "probed with throw-away keys" }
  })
}

/** Joins what was seen of sealing a key spec with what the token enforces. */
export function judgeSealing(facts: EnforcementFacts, sealing: Omit<SealingVerdict, "enforced">): SealingVerdict {
  const broken = shortcomings(facts, NEEDS.sealed)
  const enforced = sealing.possible && broken.length === 0
  const reason = sealing.possible && !enforced ? `the token ${broken.join(", ")}` : sealing.reason
  return { ...sealing, enforced, reason }
}

/** An attribute that is not what custody asks for. */
export interface AttributeFinding {
  readonly attribute: keyof KeyAttributes
  readonly expected: boolean
  readonly actual: boolean | null
}

const EXPECTED: Readonly<Record<Custody, Partial<Readonly<Record<keyof KeyAttributes, boolean>>>>> = {
  sealed: { token: false, private: true, sensitive: true, extractable: true },
  token: { token: true, private: true, sensitive: true, extractable: true },
  locked: { token: true, private: true, sensitive: true, extractable: false },
  session: { token: false, private: true, sensitive: true, extractable: true },
}

/** What `localUse` of a locked key lets the token do with it. */
export type LocalUsage = "encrypt" | "decrypt" | "sign" | "verify" | "derive"

const NO_USAGE = {
  encrypt: false,
  decrypt: false,
  verify: false,
  wrap: false,
  unwrap: false,
  derive: false,
  sign: false,
} as const

/**
 * Compares a key's attributes, as read back, with what its custody asks for. `usages` names what the key may do: an HMAC
 * source key signs, since its proof is a MAC. An attribute that does not apply to the key's class and reads null
 * passes; CKA_SENSITIVE, CKA_EXTRACTABLE and CKA_TOKEN never do.
 */
export function assessAttributes(
  attributes: KeyAttributes,
  custody: Custody,
  usages: readonly LocalUsage[] = [],
): readonly AttributeFinding[] {
  const expected: Partial<Record<keyof KeyAttributes, boolean>> = {
    ...NO_USAGE,
    ...Object.fromEntries(usages.map((usage) => [usage, true])),
    ...EXPECTED[custody],
  }
  return (Object.entries(expected) as [keyof KeyAttributes, boolean][]).flatMap(([attribute, value]) => {
    const actual = attributes[attribute] as boolean | null
    const passes = actual === value || (actual === null && !(attribute in EXPECTED[custody]))
    return passes ? [] : [{ attribute, expected: value, actual }]
  })
}

/** `CKA_SENSITIVE is false, not true` for each finding, separated by commas. */
export function findingsText(findings: readonly AttributeFinding[]): string {
  return findings
    .map(({ attribute, expected, actual }) => {
      const name = `CKA_${attribute.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
      return `${name} is ${actual ?? "unknown"}, not ${String(expected)}`
    })
    .join(", ")
}

/** What probing showed of custody: of the token as a whole, and of sealing for the key specs that were asked about. */
export interface CustodyProbe {
  readonly facts: EnforcementFacts
  readonly verdicts: readonly CustodyVerdict[]
  readonly sealing: Readonly<Partial<Record<KeySpec, SealingVerdict>>>
}
