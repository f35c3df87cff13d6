import type { Binding } from "../../core/manifest/binding.js"
import { settingsFor } from "../../core/manifest/key-settings.js"
import type { InventoryEntry } from "../../core/records/inventory.js"
import type { ImportAgainWishes } from "../../core/records/operation.js"
import { replicasWanted } from "../../core/plan/context.js"
import type { Action } from "../../core/plan/reason.js"
import type { Decision, PlanOptions, Snapshot } from "../../core/plan/snapshot.js"
import { phaseOf } from "../../core/key/key-state.js"
import type { SourceKey } from "../../core/key/source-key.js"
import { correctKey } from "../kms-key/correct.js"
import type { Deps } from "../deps.js"
import { provision } from "../provision/provision.js"
import type { ProvisionRequest } from "../provision/request.js"
import { ensureReplicas } from "../replicas/replicas.js"
import { rewrapKey } from "../rewrap/rewrap.js"
import { replaceKey } from "../replace/replace.js"
import { finishRotation, rotateKey } from "../rotate/rotate.js"

/** One decision that is to be carried out, and with what. */
export interface Execution {
  readonly deps: Deps
  readonly snapshot: Snapshot
  readonly decision: Decision
  readonly options: PlanOptions
  readonly sources: ReadonlyMap<string, SourceKey>
}

/** Who does what a decision asks for; here nothing is decided. */
export const EXECUTORS: Readonly<Record<Action, ((execution: Execution) => Promise<unknown>) | null>> = {
  none: null,
  blocked: null,
  provision: ({ deps, snapshot }) => provision(deps, provisionRequest(snapshot.binding)),
  rewrap: ({ deps, snapshot, decision, options, sources }) =>
    rewrapKey(deps, entryOf(snapshot), {
      imports: decision.imports,
      terms: termsOf(snapshot, options),
      sources,
      disableAgain: disabledKeys(snapshot),
    }),
  rotate: ({ deps, snapshot }) => rotateKey(deps, entryOf(snapshot), rotateWishes(snapshot)),
  "finish-rotation": ({ deps, snapshot }) => {
    const rotation = snapshot.unfinished.rotation
    return rotation === null
      ? finishRotation(deps, entryOf(snapshot), rotateWishes(snapshot))
      : rotateKey(deps, entryOf(snapshot), rotation.wishes)
  },
  "finish-replacement": ({ deps, snapshot }) =>
    replaceKey(deps, entryOf(snapshot), snapshot.unfinished.replacement?.wishes ?? begunWishes(snapshot)),
  replicate: ({ deps, snapshot }) => {
    const { keyArn, ...entry } = entryOf(snapshot)
    if (keyArn === null) throw new Error(`no KMS key of ${entry.name}`)
    return ensureReplicas(deps, { ...entry, keyArn }, { ...rotateWishes(snapshot), replicas: replicasWanted(snapshot) })
  },
  correct: ({ deps, snapshot, decision }) => correctKey(deps, entryOf(snapshot), decision.drift),
}

function entryOf({ entry, binding }: Snapshot): InventoryEntry {
  if (entry === null) throw new Error(`no entry of ${binding.name}`)
  return entry
}

function termsOf({ binding }: Snapshot, { expiresIn }: PlanOptions) {
  const { wrappingAlgorithm, wrappingKeySpec } = binding
  return { expiresIn: expiresIn ?? binding.expiresIn, wrappingAlgorithm, wrappingKeySpec }
}

/** A replacement of which only the entry tells: what it is to be was acknowledged when it was begun. */
function begunWishes(snapshot: Snapshot) {
  const { replacement } = entryOf(snapshot)
  return { ...rotateWishes(snapshot), ...replacement?.terms, acceptNoReimport: true }
}

function rotateWishes({ binding }: Snapshot): ImportAgainWishes {
  const { expiresIn, wrappingAlgorithm, wrappingKeySpec, prove } = binding
  return { expiresIn, wrappingAlgorithm, wrappingKeySpec, prove }
}

function disabledKeys({ key, replicas }: Snapshot): ReadonlySet<string> {
  const disabled = [key, ...replicas].flatMap((view) =>
    view.seen === "key" && phaseOf(view.description) === "disabled" ? [view.keyArn] : [],
  )
  return new Set(disabled)
}

/** What `provision` is asked for by a binding. */
export function provisionRequest(binding: Binding): ProvisionRequest {
  const { owner, name, target, expiresIn, keyArn } = binding
  // a binding that names a custody which imports once, and asks for no expiry, has said that it is understood
  const acceptNoReimport = expiresIn === "never"
  return { owner, name, target, keyId: keyArn, acceptNoReimport, ...settingsFor("provision", binding) }
}
