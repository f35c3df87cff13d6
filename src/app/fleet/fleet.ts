import type { Binding, Policy } from "../../core/manifest/binding.js"
import { KeyferryError } from "../../core/base/error.js"
import { DEFAULT_SETTINGS } from "../../core/manifest/key-settings.js"
import { bindingOf } from "../../core/records/recorded-binding.js"
import type { Snapshot } from "../../core/plan/snapshot.js"
import type { FormerEntry, InventoryEntry } from "../../core/records/inventory.js"
import type { Clock } from "../../core/ports/clock.js"
import type { CustodyKeyRecords } from "../../core/ports/custody-key-records.js"
import type { CustodyLog } from "../../core/ports/custody-log.js"
import type { DamagedEntry, Inventory } from "../../core/ports/inventory.js"
import type { HeldWork } from "../../core/ports/held-work.js"
import type { Kms } from "../../core/ports/kms.js"
import type { Log } from "../../core/ports/log.js"
import type { Operations } from "../../core/ports/operations.js"
import type { Progress } from "../../core/ports/progress.js"
import type { CustodialToken } from "../../core/ports/custodial-token.js"
import type { Vault } from "../../core/ports/vault.js"
import type { Quotas } from "../../core/plan/schedule.js"
import type { Deps } from "../deps.js"
import { refuseUnknownKey } from "../kms-key/unknown-keys.js"
import type { SharedLock } from "./lanes.js"

/**
 * Many keys over several tokens and targets: what the use cases of many keys work with. Tokens and targets are opened
 * when they are first asked for, once each.
 */
export interface Fleet {
  /** Owner of labels and tags: the manifest's `id`. */
  readonly owner: string
  /**
   * The manifest's, a row for each key and target; without a configuration file those of the inventory's entries.
   * Flags that name a target or Region leave out the others.
   */
  readonly bindings: readonly Binding[]
  /** The whole inventory, as it was when the fleet was opened: many files, read once. */
  readonly entries: readonly InventoryEntry[]
  /** Files of the inventory that cannot be read: each stands for its own key alone. */
  readonly damaged: readonly DamagedEntry[]
  /** Entries of the inventory that no binding names: watched, not changed. */
  readonly unmanaged: readonly InventoryEntry[]
  readonly inventory: Inventory
  readonly vault: Vault
  readonly custodyKeys: CustodyKeyRecords
  readonly operations: Operations
  readonly custodyLog: CustodyLog
  readonly clock: Clock
  readonly progress: Progress
  readonly log: Log
  readonly policy: Policy
  readonly sleep: Deps["sleep"]
  /** Everything for one binding. Throws ERR_USAGE where it needs a token and none is given. */
  depsOf(binding: Pick<Binding, "target" | "token">): Promise<Deps>
  /**
   * KMS of a target, in its own Region or another one, without a token.
   *
   * @throws ERR_CONFIG_INVALID where no target has that name
   */
  kmsOf(target: string, region?: string): Promise<Kms>
  /** Does a little work on the state where no other run has it, and nothing where one has. */
  whenAlone(work: () => Promise<void>): Promise<void>
  /** The time of a target's KMS. */
  clockOf(target: string): Clock
  /** What a target's account may ask for a second, where that is not what AWS grants everybody. */
  quotasOf(target: string): Quotas | undefined
  /** The token of a manifest's name, or the one that flags name for null; null where none is given. */
  tokenOf(token: string | null): Promise<CustodialToken | null>
  /** Does work whose requests to KMS, where quotas make them wait, go before those of a greater rank. */
  inTurn<T>(rank: number, work: () => Promise<T>): Promise<T>
  /** Of the state directory; null where the fleet is only looked at. */
  readonly lock: SharedLock | null
  /** Keeps workers of other processes from a key; null where the lock of the state does. */
  readonly heldWork: HeldWork | null
  /** Rows of one target that are worked on at the same time. */
  readonly width: number
}

/** One KMS key of a fleet: that of a binding, or one whose place another took. */
export interface FleetKey {
  readonly binding: Binding
  readonly role: Snapshot["role"]
  readonly entry: InventoryEntry | null
  /** Why its entry cannot be read; null where it can, or where there is none. */
  readonly damage: KeyferryError | null
}

/**
 * Every KMS key, or those of the names: of each binding, in the manifest's order, followed by the keys that it replaced,
 * until they are retired; then of what no binding names.
 *
 * @throws ERR_KEY_NOT_FOUND for a name that stands for nothing, ERR_STATE_INCOMPLETE where KMS has a key of that name
 */
export async function fleetKeys(fleet: Fleet, names: readonly string[] = []): Promise<readonly FleetKey[]> {
  const entries = new Map(fleet.entries.map((entry) => [placeOf(entry), entry]))
  const damage = new Map(fleet.damaged.map((damaged) => [placeOf(damaged), damaged.error]))
  const places = new Set(fleet.bindings.map(placeOf))
  const bindings = [
    ...fleet.bindings,
    ...fleet.damaged
      .filter((damaged) => !places.has(placeOf(damaged)))
      .map((damaged) => unknownBinding(fleet, damaged)),
    ...fleet.unmanaged.map((entry) => bindingOf(entry, false)),
  ]
  const unknown = names.find((name) => !bindings.some((binding) => binding.name === name))
  if (unknown !== undefined) {
    for (const target of new Set(fleet.bindings.map((binding) => binding.target))) {
      await refuseUnknownKey({ ...fleet, kms: await fleet.kmsOf(target) }, { owner: fleet.owner, name: unknown })
    }
    throw new KeyferryError("ERR_KEY_NOT_FOUND", `nothing is known of a key ${unknown}`, {
      key: unknown,
      hint: "`keyferry status` lists the keys of the configuration file (--config, KEYFERRY_CONFIG) and of the state directory",
    })
  }
  const chosen = new Set(names)
  return bindings
    .filter(({ name }) => chosen.size === 0 || chosen.has(name))
    .flatMap((binding) => {
      const place = placeOf(binding)
      return keysOfBinding(binding, entries.get(place) ?? null, damage.get(place) ?? null)
    })
}

/** Of a key of which nothing but its name is known, so that it has its row. */
function unknownBinding({ owner }: Pick<Fleet, "owner">, { name, target }: DamagedEntry): Binding {
  const anything = { keySpec: "SYMMETRIC_DEFAULT", keyUsage: "ENCRYPT_DECRYPT" } as const
  return { ...DEFAULT_SETTINGS, ...anything, owner, name, target, token: null, managed: false }
}

const placeOf = ({ name, target }: { readonly name: string; readonly target: string }): string => `${target} ${name}`

function keysOfBinding(
  binding: Binding,
  entry: InventoryEntry | null,
  damage: KeyferryError | null,
): readonly FleetKey[] {
  const formerEntries = (entry?.former ?? []).filter(({ retiredAt }) => retiredAt === null)
  return [{ binding, role: "current", entry, damage }, ...formerEntries.map((former) => formerKey(binding, former))]
}

/** A replaced key is kept alive on the terms of its name, as what it was made. */
function formerKey(binding: Binding, former: FormerEntry): FleetKey {
  const { keySpec, keyUsage, custody, multiRegion } = former
  const replicas = former.replicas.map(({ region }) => region)
  return {
    binding: {
      ...binding,
      keySpec,
      keyUsage,
      custody,
      multiRegion,
      replicas,
      alias: null,
      keyArn: null,
      rotateEvery: null,
    },
    role: "former",
    entry: former,
    damage: null,
  }
}
