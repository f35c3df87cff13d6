import { type OptionTable, type Surroundings, defineCommand } from "../command.js"
import { actionsOf, FLEET, type FleetArgs, keysOf } from "../options/fleet-options.js"
import { decisionsText } from "../text/decision-text.js"
import { KMS, METRICS_FILE, TOKEN } from "../options/options.js"
import { measured } from "./measured.js"
import type { Layout } from "../text/layout.js"

const OPTIONS = {
  ...FLEET,
  yes: {
    type: "boolean",
    default: false,
    describe: "also let material end earlier than it would, where that is asked for",
  },
  ...METRICS_FILE,
  ...TOKEN,
  ...KMS,
} as const satisfies OptionTable

export const apply = defineCommand({
  name: "apply",
  describe: "do what `plan` shows: make, import again, rotate, and set right what drifted; it destroys nothing",
  examples: [
    ["$0 apply --config keyferry.yaml", "everything that is to be done; a second time there is nothing"],
    ["$0 apply --config keyferry.yaml --only rewrap,rotate", "keep alive what is there, make nothing new"],
  ],
  options: OPTIONS,
  run: (args, surroundings) => applyFleet(args, surroundings),
})

interface ApplyArgs extends FleetArgs {
  readonly yes?: boolean
  readonly metricsFile?: string | undefined
}

/** What `apply` does; `provision` without a name does the same for what is missing. */
export async function applyFleet(args: ApplyArgs, surroundings: Surroundings) {
  const actions = actionsOf(args.only)
  const names = keysOf(args.key)
  const { reconcile } = await import("../../app/fleet/reconcile.js")
  const { fleetKeys } = await import("../../app/fleet/fleet.js")
  const { exitOf, summarise } = await import("../../core/plan/row.js")
  const rows = await measured(args, surroundings, async () => {
    const fleet = await surroundings.world.fleet({ lock: true })
    using line = surroundings.terminal.progressLine("applying")
    return await reconcile(fleet, await fleetKeys(fleet, names), {
      actions,
      depth: { tags: true, materials: "needed" },
      untilDone: true,
      includeDisabled: args.includeDisabled ?? false,
      shorten: args.yes ?? false,
      onRow: line.onRow,
    })
  })
  return {
    result: { keys: rows, summary: summarise(rows) },
    text: (layout: Layout) => decisionsText(rows, "apply", layout),
    exit: exitOf(rows),
  }
}
