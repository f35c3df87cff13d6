import type { Rebuilding } from "../app/fleet/rebuild.js"
import { KeyferryError } from "../core/base/error.js"
import type { ExitName } from "../core/base/exit-code.js"
import type { Output, Surroundings } from "./command.js"
import { table } from "./text/table.js"

export const REBUILD = {
  rebuild: {
    type: "boolean",
    default: false,
    describe:
      "state lost: rebuild the inventory of the target from KMS tags, the token and the vault; entries that are there stay",
  },
  overwrite: { type: "boolean", default: false, describe: "with --rebuild: write over entries that are there" },
} as const

/** `status --rebuild`: one target's inventory anew. */
export async function rebuildState(
  names: readonly string[],
  { overwrite }: { readonly overwrite: boolean },
  { world, progress }: Surroundings,
): Promise<Output> {
  if (names.length > 0) throw new KeyferryError("ERR_USAGE", "--rebuild takes no names: it finds them")
  const { rebuild } = await import("../app/fleet/rebuild.js")
  const { owner } = await world.settings()
  const deps = { ...(await world.withoutToken()), token: await world.tokenIfGiven() }
  const rebuilding = await rebuild(deps, { owner, target: await world.target(), overwrite })
  const { keys, unclaimed, unseen } = rebuilding
  for (const { name, message } of keys.filter(({ diesAt }) => diesAt !== null)) {
    progress.warn(`${name}: ${message}`)
  }
  for (const text of unseen) progress.warn(`not looked at: ${text}`)
  const count = (outcome: Rebuilding["keys"][number]["outcome"]): number =>
    keys.filter((row) => row.outcome === outcome).length
  const summary = { done: count("done"), nothing: count("nothing"), planned: 0, blocked: count("blocked"), failed: 0 }
  return {
    result: { keys, summary, unclaimed, unseen },
    text: textOf(rebuilding),
    exit: summary.blocked > 0 ? "DATAERR" : ("OK" satisfies ExitName),
  }
}

function textOf({ keys, unclaimed }: Rebuilding): string {
  const parts = [
    keys.length === 0
      ? "KMS has no keys of this owner here"
      : table(
          ["NAME", "TARGET", "KMS KEY", "OUTCOME", "WHAT"],
          keys.map((row) => [row.name, row.target, row.keyArn, row.outcome, `${row.message} [${row.reason}]`]),
        ),
  ]
  for (const { name, lost } of keys) {
    if (lost.length > 0) parts.push(`${name}: not known any more: ${lost.join("; ")}`)
  }
  for (const { id, label } of unclaimed)
    parts.push(`source key ${label} (${id}): no KMS key here says that it is its own`)
  return parts.join("\n")
}
