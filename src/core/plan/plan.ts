import * as imports from "./check-import.js"
import * as keys from "./check-key.js"
import * as rotation from "./check-rotation.js"
import { type Check, type Context, canReimport, day, earliest, hasFixedEnd, type Verdict } from "./context.js"
import { costsOf } from "./costs.js"
import { aliasTaken, correctable, drifted, driftOf } from "./drift.js"
import { materialsOf } from "./material.js"
import { filled, REASONS } from "./reason.js"
import type { Decision, PlanOptions, Snapshot } from "./snapshot.js"
import { warningsOf } from "./warnings.js"

/** The first check that applies decides. The order is the specification: one line a reason, most telling first. */
const CHAIN: readonly Check[] = [
  keys.entryUnreadable, // not known is not the same as not there
  keys.couldNotLook, // without KMS' word nothing is known
  keys.unknownHere, // no record, and KMS has it
  keys.unfit, // no record, and the KMS key that somebody else made cannot take it
  keys.nothingYet, // no record: provision
  keys.elsewhere, // the target moved to another Region
  keys.identityChanged, // what cannot be changed of a KMS key
  keys.keyGone, // recorded, and not in KMS any more
  keys.keyClaimed, // another owner's tags: not touched
  keys.keyState, // pending deletion, unavailable, being made
  keys.keyMismatch, // not the key that was recorded
  keys.unfinished, // begun: provision goes on
  keys.proofFailed, // KMS does not hold the token's material
  keys.foreignMaterial, // KMS holds material that no record names
  unlessNamed(imports.unmanaged), // watched, not changed
  imports.cannotReimport, // it would be due, and its custody imports once
  imports.materialDeleted, // gone before its time: not brought back unasked
  imports.fixedEndPassed, // to be brought back, and it would have ended by now
  imports.rewrap, // interrupted, expired, due, of another expiry, asked for, not in a replica yet
  imports.sourceLost, // nothing can be imported of it any more
  imports.disabled, // due, and an import would enable it
  onlyRecovering(rotation.replicaUnseen), // what a Region lost is not known
  imports.notLost, // KMS has it: nothing to bring back
  keys.placeTaken, // another copy of the state replaced it
  rotation.replicaMissing, // a Region without its replica
  rotation.rotationStaged, // new material that waits for its rotation
  rotation.rotationAsked, // a rotation that was asked for and not begun
  rotation.replacementUnfinished, // a replacement that was begun, or asked for
  rotation.replicaUnseen, // a Region that did not answer
  keys.replicaStateUnknown, // a Region whose answer is not understood
  rotation.rotationDue, // rotateEvery has passed
  drifted, // alias, tags, description, policy
  aliasTaken, // the alias is another key's
]

/**
 * What is to be done for one KMS key: a pure function of what was found. `plan`, `apply`, `rewrap` and `status` all ask
 * here and nowhere else.
 */
export function plan(snapshot: Snapshot, options: PlanOptions = {}): Decision {
  const undrifted: Context = { snapshot, options, materials: materialsOf(snapshot), drift: [] }
  const context = { ...undrifted, drift: driftOf(undrifted) }
  const verdict = decide(context)
  const { action, sentence, hint } = REASONS[verdict.reason]
  const planned = verdict.imports ?? []
  const { binding } = snapshot
  return {
    action,
    reason: verdict.reason,
    message: filled(sentence, verdict.facts ?? {}),
    hint: hint?.replaceAll("NAME", binding.name) ?? null,
    imports: planned,
    next: nextOf(context, action),
    warnings: warningsOf(context, planned).map((warning) => ({
      ...warning,
      message: warning.message.replaceAll("NAME", binding.name),
    })),
    drift: context.drift,
    forecast: forecastOf(context),
    costs: costsOf({ action, binding, options, imports: planned, drift: correctable(context) }),
  }
}

function decide(context: Context): Verdict {
  for (const check of CHAIN) {
    const verdict = check(context)
    if (verdict !== undefined) return verdict
  }
  return imports.nothing(context)
}

/** What the operator names by hand is done for a key that no binding names too. */
function unlessNamed(check: Check): Check {
  return (context) => (context.options.force === "named" ? undefined : check(context))
}

function onlyRecovering(check: Check): Check {
  return (context) => (context.options.recover == null ? undefined : check(context))
}

/** What stands against a key does not come next: it is there, and the operator ends it. */
function nextOf(context: Context, action: Decision["action"]): Decision["next"] {
  if (action === "blocked") return null
  return action === "none" ? upcoming(context) : { action, at: day(context.snapshot.now) }
}

/** When the next thing is due if nothing changes until then. */
function upcoming(context: Context): Decision["next"] {
  if (!context.snapshot.binding.managed || hasFixedEnd(context)) return null
  const renewAt = canReimport(context) ? earliest(context.materials.map((material) => material.renewAt)) : null
  const rotateAt = rotation.rotationAt(context)
  const dueAt = earliest([renewAt, rotateAt])
  if (dueAt === null) return null
  return { action: renewAt !== null && dueAt.getTime() === renewAt.getTime() ? "rewrap" : "rotate", at: day(dueAt) }
}

/** The first moment at which the KMS key, or one of its replicas, stops for want of material. */
function forecastOf({ materials, snapshot: { now } }: Context): Decision["forecast"] {
  const ends = materials.map(({ state, validTo }) => (state === "imported" ? validTo : null))
  const diesAt = earliest(ends)
  return diesAt === null || diesAt <= now ? null : { diesAt: day(diesAt) }
}
