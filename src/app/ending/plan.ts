import { consequencesOf, type EndedKey, type Ending, ENDINGS } from "../../core/records/ending.js"
import { errorOf, KeyferryError } from "../../core/base/error.js"
import { isOwnProof, type KeyLastUsage, usageText, usedLately } from "../../core/key/last-usage.js"
import { type KeyPhase, keyStateRow, phaseOf } from "../../core/key/key-state.js"
import { rfc3339 } from "../../core/base/expiry.js"
import {
  generationsOf,
  importOf,
  type InventoryEntry,
  keysOf,
  type MadeEntry,
  madeEntry,
} from "../../core/records/inventory.js"
import type { Kms } from "../../core/ports/kms.js"
import type { CustodialToken } from "../../core/ports/custodial-token.js"
import type { KeyRow } from "../../core/plan/row.js"
import type { Deps } from "../deps.js"
import type { RecordDeps } from "../record.js"
import { whyLost } from "../source-key/last-copy.js"

export type EndDeps = Pick<Deps, "kmsIn" | "inventory" | "vault" | "clock"> &
  RecordDeps & {
    /** Null where none is given; then nothing is known of the source keys. */
    readonly token: CustodialToken | null
  }

export interface EndRequest {
  readonly ending: Ending
  /** `delete-material`: of which generation; null for all. */
  readonly generation: number | null
  /** `schedule-deletion`: 7 to 30. */
  readonly pendingWindowDays: number
  /** Null for what is undone as easily; else when a use of the key is in the way. */
  readonly idle: Idle | null
}

export interface Idle {
  /** Seconds without a use. */
  readonly idleFor: number
  /** It goes although it was used since. */
  readonly althoughUsed: boolean
}

/** One KMS key of the entry, and whether there is anything to do. */
export interface EndStep extends EndedKey {
  /** What is to be deleted of it, by ID; null stands for the material of a key without IDs. */
  readonly materials: readonly (string | null)[]
  readonly todo: boolean
  /** Undefined where it is not asked for; null where KMS does not tell. */
  readonly usage?: KeyLastUsage | null
  /** Why KMS could not be asked, of a key that goes all the same. */
  readonly usageFailure?: KeyferryError
}

/** A KMS key that the ending cannot be done to; the others go on. */
export interface RefusedKey {
  readonly region: string
  readonly keyArn: string
  readonly error: KeyferryError
}

/** What an ending would do; nothing is changed yet. */
export interface EndPlan {
  readonly request: EndRequest
  readonly entry: MadeEntry
  readonly steps: readonly EndStep[]
  readonly refused: readonly RefusedKey[]
  readonly consequences: readonly string[]
  /** Why key material would be lost for good, in words; null where the token or the vault still has it. */
  readonly lastCopy: string | null
}

export interface EndRow extends KeyRow {
  readonly target: string
  readonly region: string
  /** As KMS says it afterwards; null where it was not asked. */
  readonly keyState: string | null
  readonly deletionDate: string | null
}

const DAY_MS = 24 * 3600 * 1000

/**
 * Looks at every KMS key of the entry, in all its Regions, and says what the ending would do to it and to whom.
 *
 * @throws ERR_KEY_NOT_FOUND; ERR_KMS_KEY_STATE, and what KMS throws, where not one of its keys can be ended
 */
export async function planEnding(deps: EndDeps, recorded: InventoryEntry, request: EndRequest): Promise<EndPlan> {
  const entry = madeEntry(recorded)
  const generations = generationsOf(entry).filter(
    ({ generation }) => request.generation === null || generation === request.generation,
  )
  if (generations.length === 0) {
    throw new KeyferryError("ERR_KEY_NOT_FOUND", `${entry.name} has no generation ${String(request.generation)}`, {
      key: entry.name,
      hint: `it has 0 to ${entry.source.generation}`,
    })
  }
  const steps: EndStep[] = []
  const refused: RefusedKey[] = []
  // a primary goes only once its replicas have gone
  for (const { region, keyArn } of [...keysOf(entry)].reverse()) {
    try {
      steps.push(await planStep(deps, await deps.kmsIn(region), { entry, request, keyArn }))
    } catch (error) {
      const refusal = errorOf(error, entry.name)
      if (!(refusal instanceof KeyferryError)) throw refusal
      refused.push({ region, keyArn, error: refusal })
    }
  }
  const [refusal] = refused
  if (steps.length === 0 && refusal !== undefined) throw refusal.error
  const keys = steps.filter(({ todo }) => todo)
  refuseUsed(deps, entry, request, keys)
  let lastCopy: string | null = null
  if (ENDINGS[request.ending].lastCopy && keys.length > 0) {
    for (const source of generations) lastCopy ??= await whyLost(deps, entry, source)
  }
  return { request, entry, steps, refused, consequences: consequencesFor(deps, { entry, request, keys }), lastCopy }
}

function consequencesFor(
  { clock }: Pick<Deps, "clock">,
  { entry, request, keys }: { entry: MadeEntry; request: EndRequest; keys: readonly EndStep[] },
): readonly string[] {
  if (keys.length === 0) return []
  const deletedAt = rfc3339(new Date(clock.now().getTime() + request.pendingWindowDays * DAY_MS))
  const otherKeys = [...entry.former, ...(entry.replacement === null ? [] : [entry.replacement])]
  const used = keys.flatMap(({ keyArn, region, usage, usageFailure }) => {
    if (usageFailure !== undefined) return [`${keyArn}: when it was last used is not known: ${usageFailure.message}`]
    if (usage === undefined) return []
    const own = isProofOf(entry, region, usage)
      ? ": keyferry's own proof, and what came before it KMS does not tell"
      : ""
    return [`${keyArn}: ${usageText(usage)}${own}`]
  })
  const lines = consequencesOf({
    ending: request.ending,
    name: entry.name,
    keySpec: entry.keySpec,
    keyUsage: entry.keyUsage,
    keys,
    deletionDate: request.ending === "schedule-deletion" ? deletedAt : null,
    untouched: otherKeys.flatMap(({ keyArn }) => keyArn ?? []),
  })
  return [...lines, ...used]
}

function isProofOf(entry: MadeEntry, region: string, usage: KeyLastUsage | null): boolean {
  if (usage === null) return false
  const times = entry.imports.flatMap((imported) => (imported.region === region ? [imported.importedAt] : []))
  return isOwnProof(usage, times)
}

/** A key that somebody used a moment ago has somebody who needs it. @throws ERR_KEY_USED */
function refuseUsed(
  { clock }: Pick<Deps, "clock">,
  entry: MadeEntry,
  { idle }: EndRequest,
  keys: readonly EndStep[],
): void {
  if (idle === null || idle.althoughUsed) return
  for (const { keyArn, region, usage = null } of keys) {
    const words = isProofOf(entry, region, usage) ? null : usedLately(usage, clock.now(), idle.idleFor)
    if (words !== null) throw new KeyferryError("ERR_KEY_USED", `${keyArn} ${words}`, { key: entry.name })
  }
}

async function planStep(
  deps: Pick<Deps, "clock">,
  kms: Kms,
  { entry, request, keyArn }: { entry: MadeEntry; request: EndRequest; keyArn: string },
): Promise<EndStep> {
  const row: { readonly done: readonly KeyPhase[]; readonly from: readonly KeyPhase[] } = ENDINGS[request.ending]
  const { keyState } = await kms.describeKey(keyArn)
  const key = { keyArn, region: kms.region, keyState }
  const { phase, hint } = keyStateRow(keyState)
  if (row.done.includes(phase)) return { ...key, aliases: [], materials: [], todo: false }
  if (!row.from.includes(phase)) {
    throw new KeyferryError("ERR_KMS_KEY_STATE", `${keyArn} is in state ${keyState}`, { key: entry.name, hint })
  }
  const materials = request.ending === "delete-material" ? await materialsOf(deps, kms, entry, request, key) : []
  const todo = request.ending !== "delete-material" || materials.length > 0
  const aliases: string[] = []
  if (todo) for await (const { alias } of kms.listAliases(keyArn)) aliases.push(alias)
  const usage = todo && request.idle !== null ? await usageOf(kms, keyArn, request.idle) : {}
  return { ...key, aliases, materials, todo, ...usage }
}

/** Who has said twice that it may go is told why the answer is missing, and not held up by it. */
async function usageOf(
  kms: Kms,
  keyArn: string,
  { althoughUsed }: Idle,
): Promise<Pick<EndStep, "usage" | "usageFailure">> {
  try {
    return { usage: await kms.getKeyLastUsage(keyArn) }
  } catch (error) {
    if (althoughUsed && error instanceof KeyferryError) return { usage: null, usageFailure: error }
    throw error
  }
}

/** What KMS still holds of the generations that are asked for. */
async function materialsOf(
  deps: Pick<Deps, "clock">,
  kms: Kms,
  entry: MadeEntry,
  { generation }: EndRequest,
  { keyArn, keyState }: { readonly keyArn: string; readonly keyState: string },
): Promise<readonly (string | null)[]> {
  if (entry.keySpec !== "SYMMETRIC_DEFAULT") return phaseOf({ keyState }) === "empty" ? [] : [null]
  const { onDemandRotationStartDate } = await kms.keyRotationStatus(keyArn)
  if (onDemandRotationStartDate !== null) {
    throw new KeyferryError("ERR_KMS_KEY_STATE", `a rotation of ${keyArn} is in progress`, {
      key: entry.name,
      hint: "its key material must not change before that is over: run again in some minutes",
    })
  }
  const now = deps.clock.now()
  const chosenId = generation === null ? null : materialIdOf(entry, generation)
  const imported = (await kms.listKeyRotations(keyArn)).filter(
    ({ importState, validTo }) => importState === "IMPORTED" && (validTo === null || validTo > now),
  )
  return imported.map(({ keyMaterialId }) => keyMaterialId).filter((id) => chosenId === null || id === chosenId)
}

/** The same in every Region. */
function materialIdOf(entry: MadeEntry, generation: number): string {
  for (const { region } of keysOf(entry)) {
    const id = importOf(entry, generation, region)?.keyMaterialId
    if (id != null) return id
  }
  throw new KeyferryError("ERR_KEY_NOT_FOUND", `the key material ID of generation ${generation} is not known`, {
    key: entry.name,
    hint: "leave --generation out to delete the key material of all generations",
  })
}
