import { parseDuration } from "../base/expiry.js"
import { phaseOf, takesMaterial } from "../key/key-state.js"
import { KEY_SPECS } from "../key/key-spec.js"
import { FEW_ROTATIONS_FROM, rotationsUsed } from "./check-rotation.js"
import { type Context, canReimport, day, earliest, idOf, keyWord, seenKey, viewsOf } from "./context.js"
import { renewsTooEarly } from "./due.js"
import { isSymmetric } from "./material.js"
import { type Facts, filled, type WarningCode, WARNINGS } from "./reason.js"
import type { PlannedImport, Warning } from "./snapshot.js"

/** What the operator should know beside the decision, in the order of the table. */
export function warningsOf(context: Context, imports: readonly PlannedImport[]): readonly Warning[] {
  const warnings = [...state(context), ...sources(context), ...unmanaged(context), ...shorter(context, imports)]
  return [...warnings, ...wishes(context), ...replicas(context), ...replacements(context)].map(([code, facts]) => ({
    code,
    message: filled(WARNINGS[code], facts),
  }))
}

type Said = readonly [code: WarningCode, facts: Facts]

function* state(context: Context): Iterable<Said> {
  const key = seenKey(context)
  if (key !== undefined && phaseOf(key.description) === "disabled") yield ["DISABLED", { key: key.keyArn }]
}

/** Where the material never expires there, its loss stops nothing; said all the same, if it should be there. */
function* sources(context: Context): Iterable<Said> {
  if (!canReimport(context)) return
  for (const { generation, state: is, note } of context.snapshot.sources) {
    const facts = { generation, id: idOf(context, generation), note: note ?? "" }
    // of what was never imported KMS has nothing, and the next run makes it
    const { entry } = context.snapshot
    const maybeHeld = entry?.importing !== null || entry.imports.some((imported) => imported.generation === generation)
    if (is === "missing" && maybeHeld) yield ["SOURCE_GONE", facts]
    if (is === "damaged" && maybeHeld) yield ["SOURCE_UNUSABLE", facts]
    if (is === "unknown" && note !== null) yield ["SOURCE_ELSEWHERE", facts]
  }
}

function* unmanaged(context: Context): Iterable<Said> {
  if (context.snapshot.binding.managed) return
  const { materials } = context
  const end = earliest(materials.map(({ validTo }) => validTo))
  if (materials.some((material) => material.state === "lost")) yield ["UNMANAGED_LOST", {}]
  else if (end !== null) yield ["UNMANAGED_EXPIRES", { date: day(end) }]
}

function* shorter(context: Context, imports: readonly PlannedImport[]): Iterable<Said> {
  const { binding, now } = context.snapshot
  const seconds = parseDuration(context.options.expiresIn ?? binding.expiresIn)
  if (seconds === undefined || imports.length === 0) return
  const end = new Date(now.getTime() + seconds * 1000)
  const later = context.materials.find(
    ({ region, generation, validTo, state: is }) =>
      is === "imported" &&
      imports.some((planned) => planned.region === region && planned.generation === generation) &&
      (validTo === null || validTo > end),
  )
  if (later === undefined) return
  yield ["SHORTER", { wanted: day(end), found: later.validTo === null ? "never" : day(later.validTo) }]
}

function* wishes(context: Context): Iterable<Said> {
  const { binding, entry, role } = context.snapshot
  if (!binding.managed || role !== "current") return
  const seconds = parseDuration(binding.expiresIn)
  if (seconds !== undefined && renewsTooEarly(seconds * 1000, binding)) yield ["RENEW_BEFORE_TOO_LONG", {}]
  const rotates = binding.rotateEvery !== null
  if (rotates && KEY_SPECS[binding.keySpec].proof !== "key-material-id")
    yield ["ROTATE_NOT_POSSIBLE", { keySpec: binding.keySpec }]
  const used = rotationsUsed(context)
  if (isSymmetric(binding.keySpec) && used >= FEW_ROTATIONS_FROM) yield ["ROTATIONS_FEW", { used }]
  if (entry !== null && entry.custody !== binding.custody)
    yield ["CUSTODY_DIFFERS", { found: entry.custody, wanted: binding.custody }]
}

function* replicas(context: Context): Iterable<Said> {
  const { binding, entry } = context.snapshot
  const isOurs = binding.managed && binding.keyArn === null
  for (const { region } of entry?.replicas ?? []) {
    if (isOurs && !binding.replicas.includes(region)) yield ["REPLICA_UNWANTED", { region }]
  }
  for (const view of viewsOf(context).slice(1)) {
    if (view.seen !== "key" || takesMaterial(view.description)) continue
    yield ["REPLICA_STATE", { region: view.region, state: view.description.keyState }]
  }
}

function* replacements(context: Context): Iterable<Said> {
  const { entry, role } = context.snapshot
  if (entry?.replacement != null) yield ["REPLACEMENT_BEGUN", {}]
  if (role === "former" && entry !== null && "replacedAt" in entry)
    yield ["FORMER_KEPT", { key: keyWord(context), date: String(entry.replacedAt) }]
}
