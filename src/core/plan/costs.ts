import type { Binding } from "../manifest/binding.js"
import { SETTING_NAMES, settingOf } from "../manifest/key-settings.js"
import { KEY_SPECS, type ProofKind } from "../key/key-spec.js"
import { isSymmetric } from "./material.js"
import type { Action } from "./reason.js"
import type { Drift, PlannedImport, PlanOptions } from "./snapshot.js"

/** KMS requests that change something or prove it, by operation: what quotas make slow. */
type Costs = Readonly<Record<string, number>>

const PROOFS: Readonly<Record<Exclude<ProofKind, "none">, string | null>> = {
  "public-key": "GetPublicKey",
  mac: "VerifyMac",
  "key-material-id": null,
}

/** The operation that sets each kind of drift right. */
const CORRECTIONS = new Map<Drift["field"], string>(
  SETTING_NAMES.flatMap((name) => {
    const { drift } = settingOf(name)
    return drift === undefined ? [] : [[drift.field, drift.correctedBy] as const]
  }),
)

interface Costly {
  readonly action: Action
  readonly binding: Binding
  readonly options: PlanOptions
  readonly imports: readonly PlannedImport[]
  readonly drift: readonly Drift[]
}

/** What the action takes of KMS, as far as it can be said before it is done. */
export function costsOf(planned: Costly): Costs {
  return ACTIONS[planned.action](planned)
}

const ACTIONS: Readonly<Record<Action, (planned: Costly) => Costs>> = {
  none: () => ({}),
  blocked: () => ({}),
  rewrap: ({ binding, imports }) => importing(binding, imports.length),
  provision: ({ binding, options }) => {
    const regions = 1 + binding.replicas.length
    const twice = isSymmetric(binding.keySpec) && (options.prove ?? binding.prove) === "full" ? 1 : 0
    return {
      CreateKey: 1,
      ...(regions > 1 ? { ReplicateKey: regions - 1 } : {}),
      ...importing(binding, regions + twice),
      ...(binding.alias === null ? {} : { CreateAlias: 1 }),
    }
  },
  replicate: ({ binding }) => ({ ReplicateKey: 1, ...importing(binding, 1) }),
  rotate: ({ binding }) => ({ ...importing(binding, 1 + binding.replicas.length), RotateKeyOnDemand: 1 }),
  "finish-rotation": () => ({ RotateKeyOnDemand: 1 }),
  "finish-replacement": ({ binding }) => ({ CreateKey: 1, ...importing(binding, 1 + binding.replicas.length) }),
  correct: ({ drift }) => {
    const calls = new Set(drift.map(({ field, region }) => `${CORRECTIONS.get(field) ?? ""} ${region}`))
    return counted([...calls].map((call) => call.split(" ")[0] ?? ""))
  },
}

/** Requests of so many imports of a key. */
export function importing({ keySpec }: Pick<Binding, "keySpec">, imports: number): Costs {
  const proof = PROOFS[KEY_SPECS[keySpec].proof]
  const base = { GetParametersForImport: imports, ImportKeyMaterial: imports }
  return proof === null ? base : { ...base, [proof]: imports }
}

function counted(names: readonly string[]): Costs {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
