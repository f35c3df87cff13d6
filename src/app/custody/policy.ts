import type { Policy } from "../../core/manifest/binding.js"
import { CUSTODIES, CUSTODY_NAMES, type Custody, shortcomings } from "../../core/key/custody.js"
import { KeyferryError } from "../../core/base/error.js"
import { type KeySpec, WRAPPING_KEY_SPEC_NAMES, type WrappingKeySpec } from "../../core/key/key-spec.js"
import { wrapCandidates } from "../../core/key/negotiation.js"
import type { WrapRequest } from "../../core/key/wrapping.js"
import { localUseFault } from "../../core/manifest/settings-check.js"
import type { Token } from "../../core/ports/token.js"
import { refuseWrite, type WriteProtectable } from "../../core/token/write-protection.js"
import type { Deps } from "../deps.js"

/** What the token makes of a custody for a key spec. */
export interface Enforcement {
  /** Whether it can be done at all. */
  readonly possible: boolean
  /** What the token was seen not to enforce of it, in words; null where all of it is. */
  readonly unenforced: string | null
}

interface PolicyDeps extends Pick<Deps, "policy" | "progress"> {
  readonly token: Pick<Token, "probeCustody" | "selfTest"> & WriteProtectable
}

/** Judges a custody for a key spec by what probing with throw-away keys showed. */
export async function enforcementOf(
  token: Pick<Token, "probeCustody">,
  custody: Custody,
  keySpec: KeySpec,
): Promise<Enforcement> {
  const { verdicts, sealing } = await token.probeCustody(custody === "sealed" ? { keySpecs: [keySpec] } : {})
  const verdict = custody === "sealed" ? sealing[keySpec] : verdicts.find((candidate) => candidate.custody === custody)
  if (verdict === undefined) return { possible: false, unenforced: "it was not probed" }
  const possible = !("possible" in verdict) || verdict.possible
  return { possible, unenforced: possible && verdict.enforced ? null : verdict.reason }
}

/**
 * Refuses a custody that the operator's policy does not allow.
 *
 * @throws ERR_POLICY_REFUSED
 */
export function refuseCustodyByPolicy(custody: Custody, { allowCustody }: Policy): void {
  if (allowCustody?.includes(custody) !== false) return
  throw new KeyferryError("ERR_POLICY_REFUSED", `the policy does not allow custody ${custody}`, {
    hint: `policy.allowCustody names ${allowCustody.join(", ") || "none"}`,
  })
}

interface OneImport {
  readonly name: string
  readonly custody: Custody
  /** A duration, a time or `never`; null where a later step says it. */
  readonly expiresIn: string | null
  /** Whether the operator said that this is understood; null where an earlier step asked. */
  readonly isAccepted: boolean | null
}

/**
 * Material that can be imported only once must not expire, and the operator must have said that he knows.
 *
 * @throws ERR_NOT_ACKNOWLEDGED
 */
export function refuseImportOnce({ name, custody, expiresIn, isAccepted }: OneImport): void {
  if (CUSTODIES[custody].reimport) return
  const mayExpire = expiresIn !== null && expiresIn !== "never"
  if (!mayExpire && isAccepted !== false) return
  const flags = [
    ...(expiresIn === null ? [] : ["--expires-in never"]),
    ...(isAccepted === null ? [] : ["--accept-no-reimport"]),
  ]
  throw new KeyferryError(
    "ERR_NOT_ACKNOWLEDGED",
    `with custody ${custody} the material of ${name} can never be imported again`,
    { key: name, hint: `give ${flags.join(" and ")} if that is understood` },
  )
}

/** Any custody but `locked` keeps its source key for wrapping alone. */
export function refuseLocalUse({
  custody,
  localUse = false,
}: {
  readonly custody: Custody
  readonly localUse?: boolean
}): void {
  const fault = localUseFault(custody, localUse)
  if (fault !== undefined) throw new KeyferryError("ERR_USAGE", `--local-use ${fault}`)
}

interface CustodyOfKey {
  readonly custody: Custody
  readonly keySpec: KeySpec
  /** Whether the key is in the token already, so that nothing is to be written for it. */
  readonly isMade?: boolean
}

/**
 * Refuses a custody that the token cannot do for this key spec, or does not enforce where policy does not take that.
 *
 * @returns what is not enforced and taken, which has been said aloud; null where all of it is
 * @throws ERR_CUSTODY_REFUSED naming the reason, and the custody that would be possible; ERR_TOKEN_WRITE_PROTECTED
 */
export async function refuseCustody(
  deps: PolicyDeps,
  { custody, keySpec, isMade = false }: CustodyOfKey,
): Promise<string | null> {
  const { possible, unenforced } = await enforcementOf(deps.token, custody, keySpec)
  if (!isMade && (custody === "token" || custody === "locked"))
    refuseWrite(deps.token, `custody ${custody} of ${keySpec}`)
  if (unenforced === null) return null
  if (possible && deps.policy.allowUnenforcedCustody) {
    deps.progress.warn(
      `custody ${custody} is not enforced: ${unenforced}; taken, as policy.allowUnenforcedCustody is true`,
    )
    return unenforced
  }
  throw new KeyferryError("ERR_CUSTODY_REFUSED", `custody ${custody} of ${keySpec}: ${unenforced}`, {
    hint: await otherCustody(deps, custody, keySpec, possible),
  })
}

/**
 * Refuses CKA_WRAP_WITH_TRUSTED where the token does not hold to it, unless policy takes that, and for a sealed key,
 * which its custody key, being no trusted one, could not seal.
 *
 * @returns what is not enforced and taken, which has been said aloud; null where it is enforced
 * @throws ERR_CUSTODY_REFUSED
 */
export async function refuseWrapWithTrusted(
  { token, policy, progress }: PolicyDeps,
  custody: Custody,
): Promise<string | null> {
  if (custody === "sealed") {
    throw new KeyferryError("ERR_CUSTODY_REFUSED", "CKA_WRAP_WITH_TRUSTED does not go with custody sealed", {
      hint: "take custody token, or leave wrapWithTrusted out",
    })
  }
  const { facts } = await token.probeCustody()
  if (facts.wrapWithTrustedEnforced === true) return null
  const why = `the token ${shortcomings(facts, ["wrapWithTrustedEnforced"]).join(", ")}`
  if (!policy.allowUnenforcedCustody) {
    throw new KeyferryError("ERR_CUSTODY_REFUSED", `wrapWithTrusted: ${why}`, {
      hint: "leave wrapWithTrusted out, or take it as it is with policy.allowUnenforcedCustody: true",
    })
  }
  progress.warn(`CKA_WRAP_WITH_TRUSTED is not enforced: ${why}; taken, as policy.allowUnenforcedCustody is true`)
  return why
}

async function otherCustody(
  { token, policy }: Pick<PolicyDeps, "token" | "policy">,
  refused: Custody,
  keySpec: KeySpec,
  possible: boolean,
): Promise<string> {
  if (!(await carries(token, keySpec, policy))) {
    return `this token carries ${keySpec} to KMS in no custody: \`keyferry token probe\` shows which key specs it does; another token or key spec may do`
  }
  const others: Custody[] = []
  for (const custody of CUSTODY_NAMES) {
    if (custody === refused || policy.allowCustody?.includes(custody) === false) continue
    if ((await enforcementOf(token, custody, keySpec)).unenforced === null) others.push(custody)
  }
  const named = others.length === 0 ? "this token enforces no other custody" : `give --custody ${others.join(" or ")}`
  const alternative = possible ? ", or take it as it is with policy.allowUnenforcedCustody: true" : ""
  return `${named}${alternative}; \`keyferry token probe\` shows what it enforces`
}

/** Whether the token wraps such a key for KMS at all: what it cannot, no other custody helps. */
async function carries(token: Pick<Token, "selfTest">, keySpec: KeySpec, policy: Policy): Promise<boolean> {
  for (const wrappingKeySpec of WRAPPING_KEY_SPEC_NAMES) {
    for (const candidate of permitted(keySpec, wrappingKeySpec, policy)) {
      const [verdict] = await token.selfTest([candidate])
      if (verdict?.usable === true) return true
    }
  }
  return false
}

/** None where KMS takes none, or the policy permits none. */
function permitted(keySpec: KeySpec, wrappingKeySpec: WrappingKeySpec, policy: Policy): readonly WrapRequest[] {
  try {
    return wrapCandidates(keySpec, wrappingKeySpec, "auto", policy)
  } catch {
    return []
  }
}
