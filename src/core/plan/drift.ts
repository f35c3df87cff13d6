import type { Binding } from "../manifest/binding.js"
import { SETTING_NAMES, settingOf } from "../manifest/key-settings.js"
import { type Check, type Context, canReimport, day, hasFixedEnd, keyWord, seenKey, viewsOf } from "./context.js"
import { expiryDiffers } from "./check-import.js"
import type { Drift, SeenKey } from "./snapshot.js"

/** What of a KMS key is not as the binding wants it, and was not material. */

/** Differences between a KMS key and its binding; none for keys that no binding names, and for replaced ones. */
export function driftOf(context: Context): readonly Drift[] {
  const { binding, role, entry } = context.snapshot
  if (!binding.managed || role !== "current" || entry === null) return []
  const views = viewsOf(context).flatMap((view) => (view.seen === "key" ? [view] : []))
  return [...views.flatMap((view) => keyDrift(context, view)), ...aliasDrift(context), ...expiryDrift(context)]
}

function keyDrift({ snapshot: { binding, wantedTags } }: Context, view: SeenKey): readonly Drift[] {
  const { region, tags } = view
  const drift: Drift[] = []
  const common = { region, correctable: true }
  for (const [tag, wantedValue] of tags === null ? [] : Object.entries(wantedTags)) {
    const foundValue = tags?.[tag]
    if (foundValue !== wantedValue)
      drift.push({ ...common, field: "tags", wanted: `${tag}=${wantedValue}`, found: tagWords(tag, foundValue) })
  }
  return [...drift, ...textDrift(binding, view)]
}

/** Settings that KMS keeps as text, and shows again. */
function textDrift(binding: Binding, view: SeenKey): readonly Drift[] {
  return SETTING_NAMES.flatMap((name) => {
    const { drift } = settingOf(name)
    const wantedText = binding[name]
    const foundText = drift?.read?.(view) ?? null
    if (drift === undefined || typeof wantedText !== "string" || foundText === null) return []
    const { field, canonical = (text) => text } = drift
    return canonical(foundText) === canonical(wantedText)
      ? []
      : [{ region: view.region, correctable: true, field, wanted: wantedText, found: foundText }]
  })
}

const tagWords = (tag: string, value: string | undefined): string => (value === undefined ? "none" : `${tag}=${value}`)

function aliasDrift(context: Context): readonly Drift[] {
  const { binding, aliasHolder, region } = context.snapshot
  const key = seenKey(context)
  if (binding.alias === null || aliasHolder === undefined || key === undefined) return []
  if (aliasHolder === key.description.keyId) return []
  const holder = aliasHolder ?? "none"
  return [{ field: "alias", region, wanted: binding.alias, found: holder, correctable: !isForeignHolder(context) }]
}

/** Shown with the rest; an import is what corrects it. */
function expiryDrift(context: Context): readonly Drift[] {
  const { binding, now } = context.snapshot
  if (hasFixedEnd(context)) return []
  return context.materials
    .filter(({ state, validTo }) => state === "imported" && expiryDiffers(validTo, binding.expiresIn, now))
    .map(({ region, validTo }) => ({
      field: "expiry",
      region,
      wanted: binding.expiresIn,
      found: validTo === null ? "never" : day(validTo),
      correctable: canReimport(context),
    }))
}

/** Whether the alias names a key of somebody else: one that this very name had before is ours to move. */
function isForeignHolder({ snapshot: { entry, aliasHolder } }: Context): boolean {
  if (aliasHolder == null) return false
  const former = [...(entry?.former ?? []), ...(entry?.replacement == null ? [] : [entry.replacement])]
  return !former.some(({ keyArn }) => keyArn?.endsWith(`/${aliasHolder}`) === true)
}

/** What `correct` sets right; not an alias that names somebody else's key, and not an expiry. */
export function correctable(context: Context): readonly Drift[] {
  return context.drift.filter(({ field }) => field !== "expiry" && !(field === "alias" && isForeignHolder(context)))
}

export const drifted: Check = (context) => {
  const fields = [...new Set(correctable(context).map(({ field }) => field))]
  if (fields.length === 0) return undefined
  const words = `${fields.join(", ")} ${fields.length === 1 && fields[0] !== "tags" ? "is" : "are"}`
  return { reason: "DRIFT", facts: { fields: words, key: keyWord(context) } }
}

export const aliasTaken: Check = (context) => {
  const { binding, aliasHolder } = context.snapshot
  const isTaken = context.drift.some(({ field }) => field === "alias") && isForeignHolder(context)
  return isTaken
    ? { reason: "ALIAS_TAKEN", facts: { alias: binding.alias ?? "", holder: aliasHolder ?? "" } }
    : undefined
}
