import { randomBytes } from "node:crypto"
import { assessAttributes, type EnforcementFacts, findingsText } from "../../core/key/custody.js"
import { KEY_SPECS, type KeySpec } from "../../core/key/key-spec.js"
import { template } from "../cryptoki/attributes.js"
import { destroyObject, findObjects, OwnedObjects, type Session } from "../cryptoki/calls.js"
import { ckrOf, failureText, refusalOf } from "../cryptoki/errors.js"
import { isUnsupported, type KeyHandles } from "../objects/generation.js"
import { generateThrowAway, type Probe, THROW_AWAY_LABEL } from "./throw-away.js"
import type { Loan, TokenSession } from "../session/pool.js"

/** What the custody probe tries to generate, in this order: a token need not have AES. */
export const PROBED_SPECS = ["SYMMETRIC_DEFAULT", "HMAC_256", "ECC_NIST_P256"] as const satisfies readonly KeySpec[]

type TokenObjectFacts = Pick<EnforcementFacts, "tokenObjectsKept" | "tokenObjectFlaw">

const TRIES = 3

/**
 * Makes one throw-away token object as custody `token` would, reads it back and destroys it: a token may keep the
 * attributes of session objects only. What a probe that died left behind is destroyed first.
 */
export async function probeTokenObject(session: TokenSession, loan: Pick<Loan, "create">): Promise<TokenObjectFacts> {
  for (let tries = 1; ; tries++) {
    try {
      return await loan.create(async () => {
        removeLeftovers(session)
        return judged(await findings(session))
      })
    } catch (error) {
      const refusal = refusalOf(error)
      // a probe of another process took it for a leftover
      const vanished = ckrOf(refusal)?.endsWith("_HANDLE_INVALID") === true
      if (!vanished || tries === TRIES) return { tokenObjectsKept: null, tokenObjectFlaw: failureText(refusal) }
    }
  }
}

function judged(flaw: string): TokenObjectFacts {
  return flaw === ""
    ? { tokenObjectsKept: true, tokenObjectFlaw: null }
    : { tokenObjectsKept: false, tokenObjectFlaw: flaw }
}

/** In words: each attribute of a fresh token object that is not as custody `token` asks; empty for none. */
async function findings(session: TokenSession): Promise<string> {
  using objects = new OwnedObjects(session)
  const { keySpec, handles } = await generateFirst({ session, objects })
  const kind = `token ${handles.publicHalf ? "private" : "secret"} ${KEY_SPECS[keySpec].keyType}`
  const { attributes } = session.reader.read(session, handles.object, kind)
  return findingsText(assessAttributes(attributes, "token"))
}

/** A throw-away token object of the first key spec that the token has. */
async function generateFirst(probe: Probe): Promise<{ readonly keySpec: KeySpec; readonly handles: KeyHandles }> {
  const key = { id: randomBytes(16), token: true, extractable: true, wrapWithTrusted: false, usages: [] }
  let unsupported: unknown
  for (const keySpec of PROBED_SPECS) {
    try {
      return { keySpec, handles: await generateThrowAway(probe, { ...key, keySpec }) }
    } catch (error) {
      if (!isUnsupported(error)) throw error
      unsupported ??= error
    }
  }
  throw unsupported
}

/** Throw-away keys outlive their process as token objects only, and each lives for a moment. */
function removeLeftovers(session: Session): void {
  for (const object of findObjects(session, template({ label: THROW_AWAY_LABEL, token: true }))) {
    try {
      destroyObject(session, object)
    } catch (error) {
      // gone meanwhile, or not to be destroyed; the new one decides
      refusalOf(error)
    }
  }
}
