import { createHash, createPublicKey } from "node:crypto"
import type { RecordedAttribute, RecordedCall } from "#test/support/spy-recording.js"

/** What a client must not do (docs/threat-model.md, I1 and I2): each names what the recording broke. */
export type Rule =
  | "call that yields plaintext"
  | "encryption by a key that is no throw-away"
  | "secret attribute read"
  | "key brought in from outside"
  | "not CKA_SENSITIVE"
  | "not CKA_PRIVATE"
  | "usage not stated"
  | "usage too wide"
  | "attributes changed"
  | "custody key extractable"
  | "unsealed key kept"
  | "unwrapped under a key of unknown origin"
  | "throw-away key kept"
  | "wrapping key kept"
  | "wrapped under a key of unknown origin"
  | "ephemeral key used twice"
  | "logins"
  | "unreadable call"

export interface Violation {
  readonly rule: Rule
  /** Place in the recording and function. */
  readonly call: string
  readonly detail: string
}

type Role =
  "source" | "unsealed" | "custody" | "ephemeral" | "throw-away" | "throw-away custody" | "wrapping" | "public half"

export interface Findings {
  readonly violations: readonly Violation[]
  /** `sha256:…` of the wrapping keys under which keys left that are neither throw-away nor ephemeral. */
  readonly sourceKeysLeftUnder: readonly string[]
  /** Objects that were made, by role: tells a run that made none from one that made all of them well. */
  readonly made: Readonly<Record<Role, number>>
}

const CUSTODY_LABEL = "keyferry/custody/"

type Template = readonly RecordedAttribute[]

const SECRET_ATTRIBUTES: ReadonlySet<string> = new Set([
  "CKA_VALUE",
  "CKA_PRIVATE_EXPONENT",
  "CKA_PRIME_1",
  "CKA_PRIME_2",
  "CKA_EXPONENT_1",
  "CKA_EXPONENT_2",
  "CKA_COEFFICIENT",
])

/** Without exception: no part of keyferry decrypts or derives. */
const FORBIDDEN = /^C_(Decrypt\w*|SignRecover\w*|VerifyRecover\w*|DeriveKey|GetOperationState)$/

const USAGES = {
  secret: ["ENCRYPT", "DECRYPT", "SIGN", "VERIFY", "WRAP", "UNWRAP", "DERIVE"],
  private: ["DECRYPT", "SIGN", "SIGN_RECOVER", "UNWRAP", "DERIVE"],
  public: ["ENCRYPT", "VERIFY", "VERIFY_RECOVER", "WRAP", "DERIVE"],
} as const

/** What may be true: a MAC is the proof of HMAC keys, and the self-test compares AES keys by encrypting a block. */
const ALLOWED: Readonly<Record<Role, Readonly<Record<string, readonly string[]>>>> = {
  source: { CKK_GENERIC_SECRET: ["SIGN"] },
  unsealed: { CKK_GENERIC_SECRET: ["SIGN"] },
  custody: { CKK_AES: ["WRAP", "UNWRAP"] },
  "throw-away custody": { CKK_AES: ["WRAP", "UNWRAP"] },
  "throw-away": { CKK_AES: ["ENCRYPT"], CKK_GENERIC_SECRET: ["SIGN"] },
  ephemeral: { CKK_AES: ["WRAP"] },
  wrapping: { CKK_RSA: ["WRAP"] },
  "public half": {},
}

interface MadeObject {
  readonly role: Role
  readonly template: Template
  /** Of an ephemeral key: how many keys it wrapped, and under what it left itself. */
  wrapped: number
  under: string | null
}

/** What is known at one point of the recording. */
interface State {
  readonly objects: Map<string, MadeObject>
  readonly made: Record<Role, number>
  readonly sourceKeysLeftUnder: string[]
  /** Ciphertexts under custody keys, hex, with the role of what was sealed. */
  readonly sealed: Map<string, Role>
  /** Throw-away token objects that are not destroyed yet, by handle: the call that made them. */
  readonly kept: Map<string, string>
  logins: number
  sessions: number
}

type Flaw = readonly [Rule, detail: string]

/** Judges one call and notes what it changed. */
type Judge = (call: RecordedCall, state: State) => readonly Flaw[]

const templateOf = (call: RecordedCall): Template => call.templates["pTemplate"] ?? []

const JUDGES: Readonly<Record<string, Judge>> = {
  C_Login: (_call, state) => {
    state.logins++
    return []
  },
  C_OpenSession: (_call, state) => {
    state.sessions++
    return []
  },
  C_EncryptInit: ({ given }, { objects }) =>
    objects.get(given["hKey"] ?? "")?.role === "throw-away"
      ? []
      : [["encryption by a key that is no throw-away", given["hKey"] ?? ""]],
  C_GenerateKey: (call, state) => create(call, state, roleOf(templateOf(call)), templateOf(call), call.got["hKey"]),
  C_GenerateKeyPair: (call, state) => {
    const { pPrivateKeyTemplate: own = [], pPublicKeyTemplate: publicHalf = [] } = call.templates
    return [
      ...create(call, state, roleOf(own), own, call.got["hPrivateKey"]),
      ...create(call, state, "public half", publicHalf, call.got["hPublicKey"]),
    ]
  },
  C_CreateObject: (call, state) => {
    const template = templateOf(call)
    if (word(template, "CKA_CLASS") === "CKO_PUBLIC_KEY") {
      return create(call, state, "wrapping", template, call.got["phObject"])
    }
    const role = roleOf(template)
    const flaws = create(call, state, role, template, call.got["phObject"])
    // the custody probe makes keys of its own, to see whether the token tells them from generated ones
    return role === "throw-away" ? flaws : [...flaws, ["key brought in from outside", role]]
  },
  C_DestroyObject: (call, { kept }) => {
    if (call.result === "CKR_OK") kept.delete(call.given["hObject"] ?? "")
    return []
  },
  C_CopyObject: changed,
  C_SetAttributeValue: changed,
  C_GetAttributeValue: (call, { objects }) => {
    // a custody key of an earlier process is known by its label, as it is read back
    const label = bytes(call.answered, "CKA_LABEL").toString("latin1")
    const handle = call.given["hObject"] ?? ""
    if (!label.startsWith(CUSTODY_LABEL) || objects.has(handle)) return []
    objects.set(handle, { role: "custody", template: call.answered, wrapped: 0, under: null })
    return []
  },
  C_UnwrapKey: (call, state) => {
    const under = state.objects.get(call.given["hUnwrappingKey"] ?? "")?.role
    if (under !== "custody" && under !== "throw-away custody") {
      return [["unwrapped under a key of unknown origin", call.given["hUnwrappingKey"] ?? ""]]
    }
    const template = templateOf(call)
    const made = { role: "unsealed" as Role, template, wrapped: 0, under: null }
    // the probe tries whether it could be read: what it seals itself is thrown away
    const thrownAway = state.sealed.get(call.data["pWrappedKey"]?.toString("hex") ?? "") === "throw-away"
    if (thrownAway) made.role = "throw-away"
    if (call.result === "CKR_OK") {
      state.made[made.role]++
      state.objects.set(call.got["hKey"] ?? "", made)
    }
    return templateFlaws(made.role, template).filter(([rule]) => !thrownAway || rule !== "not CKA_SENSITIVE")
  },
  C_WrapKey: (call, state) => {
    const wrapping = state.objects.get(call.given["hWrappingKey"] ?? "")
    const key = state.objects.get(call.given["hKey"] ?? "")
    const sealing =
      wrapping?.role === "custody" || (wrapping?.role === "throw-away custody" && key?.role === "throw-away")
    if (sealing) {
      state.sealed.set(call.data["pWrappedKey"]?.toString("hex") ?? "", key?.role ?? "source")
      return []
    }
    if (wrapping?.role !== "wrapping" && wrapping?.role !== "ephemeral") {
      return [["wrapped under a key of unknown origin", call.given["hWrappingKey"] ?? ""]]
    }
    const under = wrapping.role === "wrapping" ? fingerprintOf(wrapping.template) : wrapping.under
    const again = wrapping.role === "ephemeral" && ++wrapping.wrapped > 1
    if (key?.role === "ephemeral") key.under = under
    else if (key?.role !== "throw-away" && call.result === "CKR_OK") state.sourceKeysLeftUnder.push(under ?? "unknown")
    return again ? [["ephemeral key used twice", call.given["hWrappingKey"] ?? ""]] : []
  },
}

/** What makes a key only stricter: locking it, and what a token ignored of the template of an unsealed one. */
const STRICTER: ReadonlySet<string> = new Set([
  "CKA_EXTRACTABLE False",
  "CKA_SENSITIVE True",
  ...Object.values(USAGES).flatMap((usages) => usages.map((usage) => `CKA_${usage} False`)),
])

/** The custody probe changes attributes of its own throw-away keys, to see that the token refuses. */
function changed(call: RecordedCall, { objects }: State): readonly Flaw[] {
  const target = objects.get(call.given["hObject"] ?? "")
  const stricter = templateOf(call).every(({ name, word: value }) => STRICTER.has(`${name} ${value ?? ""}`))
  if (call.name === "C_SetAttributeValue" && stricter) return []
  if (target?.role !== "throw-away") {
    const names = templateOf(call).map(({ name, word: value }) => `${name} ${value ?? ""}`)
    return [["attributes changed", names.join(", ")]]
  }
  const copy = call.got["phNewObject"]
  if (copy !== undefined) objects.set(copy, target)
  return []
}

function create(
  call: RecordedCall,
  state: State,
  role: Role,
  template: Template,
  handle: string | undefined,
): readonly Flaw[] {
  if (call.result === "CKR_OK") {
    state.made[role]++
    state.objects.set(handle ?? "", { role, template, wrapped: 0, under: null })
    if (isProbeOfTokenObjects(role, template)) state.kept.set(handle ?? "", `${call.number}: ${call.name}`)
  }
  return templateFlaws(role, template)
}

/** The one throw-away key that may be a token object: of the custody probe, no use allowed; it must be destroyed. */
function isProbeOfTokenObjects(role: Role, template: Template): boolean {
  const used = USAGES.secret.some((usage) => word(template, `CKA_${usage}`) !== "False")
  const secret = word(template, "CKA_CLASS") === "CKO_SECRET_KEY"
  return role === "throw-away" && secret && !used && word(template, "CKA_TOKEN") === "True"
}

/** By the label that keyferry gives; a key that carries neither counts as a source key, the strictest. */
function roleOf(template: Template): "source" | "custody" | "ephemeral" | "throw-away" | "throw-away custody" {
  const label = bytes(template, "CKA_LABEL").toString("latin1")
  if (label.startsWith(CUSTODY_LABEL)) return "custody"
  if (label === "keyferry-self-test") {
    return word(template, "CKA_UNWRAP") === "True" ? "throw-away custody" : "throw-away"
  }
  return label === "keyferry-ephemeral" ? "ephemeral" : "source"
}

function templateFlaws(role: Role, template: Template): readonly Flaw[] {
  const isPublic = role === "wrapping" || role === "public half"
  const cls = word(template, "CKA_CLASS")
  const usages: readonly string[] = isPublic
    ? USAGES.public
    : cls === "CKO_PRIVATE_KEY"
      ? USAGES.private
      : USAGES.secret
  const allowed = ALLOWED[role][word(template, "CKA_KEY_TYPE") ?? ""] ?? []
  const unstated = usages.filter((usage) => word(template, `CKA_${usage}`) === null)
  const wide = [...new Set(Object.values(USAGES).flat())].filter(
    (usage) => word(template, `CKA_${usage}`) === "True" && !allowed.includes(usage),
  )
  const lasting: readonly Role[] = ["source", "public half", "custody"]
  const passing = !lasting.includes(role) && !isProbeOfTokenObjects(role, template)
  const kept = passing && word(template, "CKA_TOKEN") !== "False"
  const custody = role === "custody" || role === "throw-away custody"
  const found: readonly (readonly [broken: boolean, ...flaw: Flaw])[] = [
    [!isPublic && word(template, "CKA_SENSITIVE") !== "True", "not CKA_SENSITIVE", role],
    [!isPublic && word(template, "CKA_PRIVATE") !== "True", "not CKA_PRIVATE", role],
    [unstated.length > 0, "usage not stated", `${role}: ${unstated.join(", ")}`],
    [wide.length > 0, "usage too wide", `${role}: ${wide.join(", ")}`],
    [custody && word(template, "CKA_EXTRACTABLE") !== "False", "custody key extractable", role],
    [kept, isPublic ? "wrapping key kept" : role === "unsealed" ? "unsealed key kept" : "throw-away key kept", role],
  ]
  return found.flatMap(([broken, ...flaw]) => (broken ? [flaw] : []))
}

/** Flaws that any call can have. */
function commonFlaws(call: RecordedCall): readonly Flaw[] {
  const secrets = templateOf(call).filter(({ name }) => SECRET_ATTRIBUTES.has(name))
  const found: readonly (readonly [broken: boolean, ...flaw: Flaw])[] = [
    [call.result === null, "unreadable call", "it has no answer"],
    [FORBIDDEN.test(call.name), "call that yields plaintext", call.result ?? ""],
    [
      secrets.length > 0 && call.name !== "C_CreateObject",
      "secret attribute read",
      secrets.map(({ name }) => name).join(", "),
    ],
  ]
  return found.flatMap(([broken, ...flaw]) => (broken ? [flaw] : []))
}

/** Reads the calls of one process and reports everything that breaks a rule. */
export function examineCalls(calls: readonly RecordedCall[]): Findings {
  const state: State = {
    objects: new Map(),
    made: {
      source: 0,
      unsealed: 0,
      custody: 0,
      ephemeral: 0,
      "throw-away": 0,
      "throw-away custody": 0,
      wrapping: 0,
      "public half": 0,
    },
    sourceKeysLeftUnder: [],
    sealed: new Map(),
    kept: new Map(),
    logins: 0,
    sessions: 0,
  }
  const violations: Violation[] = calls.flatMap((call) =>
    [...commonFlaws(call), ...(JUDGES[call.name]?.(call, state) ?? [])].map(([rule, detail]) => ({
      rule,
      call: `${call.number}: ${call.name}`,
      detail,
    })),
  )
  violations.push(
    ...[...state.kept.values()].map((call) => ({ rule: "throw-away key kept" as const, call, detail: "throw-away" })),
  )
  // a process that opens no session (token list) has nothing to log in for
  const expected = state.sessions > 0 ? 1 : 0
  if (state.logins !== expected) {
    violations.push({ rule: "logins", call: "C_Login", detail: `${state.logins}, not ${expected}` })
  }
  return { violations, sourceKeysLeftUnder: state.sourceKeysLeftUnder, made: state.made }
}

function word(template: Template, name: string): string | null {
  return template.find((attribute) => attribute.name === name)?.word ?? null
}

function bytes(template: Template, name: string): Buffer {
  return template.find((attribute) => attribute.name === name)?.bytes ?? Buffer.alloc(0)
}

/** `sha256:…` of the SubjectPublicKeyInfo that the modulus and exponent of a template make. */
function fingerprintOf(template: Template): string {
  const n = bytes(template, "CKA_MODULUS").toString("base64url")
  const e = bytes(template, "CKA_PUBLIC_EXPONENT").toString("base64url")
  const spki = createPublicKey({ key: { kty: "RSA", n, e }, format: "jwk" }).export({ format: "der", type: "spki" })
  return `sha256:${createHash("sha256").update(spki).digest("hex")}`
}
