import { KeyferryError } from "../../core/base/error.js"
import { namesOf } from "../options/arguments.js"
import { defineCommand } from "../command.js"
import { actionsOf } from "../options/fleet-options.js"
import { KMS, TOKEN } from "../options/options.js"
import { backupText, statusText } from "../text/status-text.js"
import { REBUILD, rebuildState } from "./status-rebuild.js"

export const status = defineCommand({
  name: "status",
  describe:
    "every key: its state in KMS, its generations, days to expiry, what comes next, drift, and what a loss would cost",
  examples: [
    ["$0 status", "as a table; works without a token, whose side is then not known"],
    ["$0 status --rebuild --region eu-west-3", "the state directory is lost: what it knew, from KMS, token and vault"],
    ["$0 status payments --json", "everything that is known of one key"],
  ],
  names: { describe: "keys to look at; all where none is named" },
  options: { ...REBUILD, ...TOKEN, ...KMS },
  async run(args, surroundings) {
    const names = namesOf(args)
    if (args.rebuild) return await rebuildState(names, args, surroundings)
    if (args.overwrite) throw new KeyferryError("ERR_USAGE", "--overwrite goes with --rebuild")
    const { fleetKeys } = await import("../../app/fleet/fleet.js")
    const { status: surveyStatus } = await import("../../app/fleet/status.js")
    const fleet = await surroundings.world.fleet({ lock: false })
    using line = surroundings.terminal.progressLine("looking at")
    const { status: result, exit } = await surveyStatus(fleet, await fleetKeys(fleet, names), {
      actions: actionsOf(undefined),
      onRow: line.onRow,
    })
    const backup = await surroundings.world.backup()
    return {
      result: { ...result, backup },
      text: (layout) => `${statusText(result, layout)}${layout.quiet ? "" : backupText(result, backup)}`,
      exit,
    }
  },
})
