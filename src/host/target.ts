import type { Kms } from "../core/ports/kms.js"
import type { Log } from "../core/ports/log.js"
import type { SharedQuotas } from "../core/ports/shared-quotas.js"
import type { KmsCall } from "../kms/call.js"
import { openKms } from "../kms/kms.js"
import { createPacer, type Pacer } from "../kms/pacing.js"
import type { RunClock } from "./clock.js"
import type { Places } from "./places.js"
import type { Env, KmsSetting } from "./settings.js"

interface Run {
  readonly env: Env
  readonly clock: RunClock
  readonly log: Log
  readonly places: Places
  /** As the inventory calls it, where the setting has no name. */
  readonly nameOfTarget: string | null
  /** Null where agents share none. */
  readonly quotas: SharedQuotas | null
  /** Asked before each request that changes something. */
  readonly beforeChange: () => Promise<void>
}

/** One for the process: all its work together keeps to the quotas of KMS, where agents do not share them. */
let ownPacer: Pacer | undefined
/** And one for each place of shared quotas. */
const sharedPacers = new WeakMap<SharedQuotas, Pacer>()

/** KMS of a target: its calls are in the log, its time in the clock, and where it is among the places. @throws ERR_KMS_* */
export async function openTarget(setting: KmsSetting, run: Run): Promise<Kms & Disposable> {
  const { env, clock, log, places, nameOfTarget, quotas, beforeChange } = run
  const { account, name } = setting
  const pinned = account === null ? null : { account, origin: `account of target ${name ?? ""}` }
  let target = name
  let hasAnswered = false
  const onCall = (call: KmsCall): void => {
    hasAnswered ||= call.error === null
    log.event("kms.call", { ...call, target })
  }
  const onTime = (date: Date): void => clock.learn(name, date)
  const kms = await openKms({ ...setting, pinned, env, pacer: pacerOf(quotas), onCall, onTime, beforeChange })
  target ??= nameOfTarget ?? kms.region
  places.add(target, kms, () => hasAnswered)
  return kms
}

function pacerOf(quotas: SharedQuotas | null): Pacer {
  if (quotas === null) return (ownPacer ??= createPacer())
  const pacer = sharedPacers.get(quotas) ?? createPacer({ shared: quotas })
  sharedPacers.set(quotas, pacer)
  return pacer
}
