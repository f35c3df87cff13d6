import type { Rebuilding } from "../../app/fleet/rebuild.js"
import { KeyferryError } from "../../core/base/error.js"
import { summarise } from "../../core/plan/row.js"
import type { Surroundings } from "../command.js"
import type { Layout } from "../text/layout.js"
import { rowsText } from "../text/rows-text.js"

export const REBUILD = {
  rebuild: {
    type: "boolean",
    default: false,
    describe:
      "state lost: rebuild the inventory of all targets, or of the one named, from KMS tags, tokens and vault; entries that are there stay",
  },
  overwrite: { type: "boolean", default: false, describe: "with --rebuild: write over entries that are there" },
} as const

/** `status --rebuild`: the inventory of every target anew, or of the one that flags name. */
export async function rebuildState(
  names: readonly string[],
  { overwrite }: { readonly overwrite: boolean },
  { world, progress }: Surroundings,
) {
  if (names.length > 0) throw new KeyferryError("ERR_USAGE", "--rebuild takes no names: it finds them")
  const { rebuildTargets } = await import("../../app/fleet/rebuild-targets.js")
  const { owner } = await world.settings()
  const places = await world.rebuildPlaces()
  const { exit, ...rebuilding } = await rebuildTargets(places, { owner, overwrite })
  const { keys, unclaimed, unseen } = rebuilding
  for (const { name, message } of keys.filter(({ diesAt }) => diesAt !== null)) {
    progress.warn(`${name}: ${message}`)
  }
  for (const text of unseen) progress.warn(`not looked at: ${text}`)
  return {
    result: { keys, summary: summarise(keys), unclaimed, unseen },
    text: (layout: Layout) => textOf(rebuilding, layout),
    exit,
  }
}

function textOf({ keys, unclaimed }: Rebuilding, layout: Layout): string {
  const rows = rowsText(keys, { columns: [], none: "KMS has no keys of this owner here" }, layout)
  const losses = keys.filter(({ lost }) => lost.length > 0)
  return [
    rows,
    ...losses.map(({ name, lost }) => `${name}: not known any more: ${lost.join("; ")}`),
    ...unclaimed.map(({ id, label }) => `source key ${label} (${id}): no KMS key here says that it is its own`),
  ].join("\n")
}
