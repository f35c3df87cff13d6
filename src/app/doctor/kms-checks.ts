import { KeyferryError } from "../../core/base/error.js"
import type { Clock } from "../../core/ports/clock.js"
import type { Kms } from "../../core/ports/kms.js"
import { type CheckedLine, fail, failed, ok, warn } from "./check.js"

/** Clocks further apart than this make AWS refuse signatures (SigV4 allows 15 minutes). */
const SKEW_WARN_SECONDS = 60
const SKEW_FAIL_SECONDS = 300

/**
 * Checks credentials, endpoint and clock; nothing is changed in KMS.
 *
 * @param refuseAccount throws where the credentials' account is not the one that the target is in
 */
export async function examineKms(
  openKms: () => Promise<Kms>,
  clock: Clock,
  refuseAccount: (kms: Kms) => Promise<void>,
): Promise<readonly CheckedLine[]> {
  const lines: CheckedLine[] = []
  let kms: Kms
  try {
    kms = await openKms()
  } catch (error) {
    // a host with the token alone has no Region, and needs none
    const without = error instanceof KeyferryError && error.code === "ERR_KMS_REGION_MISSING"
    const hint = "give --region on a host that reaches AWS"
    return [without ? warn("kms", "no AWS Region is given, so KMS was not checked", hint) : failed("kms", error)]
  }
  try {
    const { account, arn } = await kms.callerIdentity()
    await refuseAccount(kms)
    lines.push(ok("aws-identity", `account ${account} as ${arn}`))
  } catch (error) {
    lines.push(failed("aws-identity", error))
  }
  const place =
    kms.endpoint === null ? `AWS KMS in ${kms.region}` : `KMS at ${kms.endpoint.url} (named by ${kms.endpoint.origin})`
  try {
    // one page is enough to see that it answers
    await kms.listKeys()[Symbol.asyncIterator]().next()
    lines.push(ok("kms", `${place} answers`))
  } catch (error) {
    const denied = error instanceof KeyferryError && error.code === "ERR_KMS_ACCESS_DENIED"
    lines.push(
      denied
        ? warn(
            "kms",
            `${place} answers, but does not allow kms:ListKeys`,
            "allow it, so that a lost CreateKey answer can be reconciled",
          )
        : failed("kms", error),
    )
  }
  const offset = clock.kmsOffsetMs()
  if (offset !== null) lines.push(clockLine(-offset))
  return lines
}

/** @param aheadMs by how much this host's clock is ahead of KMS' */
export function clockLine(aheadMs: number): CheckedLine {
  const skew = Math.round(aheadMs / 1000)
  const apart = Math.abs(skew)
  const message =
    apart <= 1
      ? "this host's clock agrees with KMS'"
      : `this host's clock is ${apart} s ${skew > 0 ? "ahead of" : "behind"} KMS'`
  const hint = "synchronise the clock (NTP): signatures and expiry depend on it"
  if (apart > SKEW_FAIL_SECONDS) return fail("clock", message, hint, "CONFIG")
  return apart > SKEW_WARN_SECONDS ? warn("clock", message, hint) : ok("clock", message)
}
