import { KeyferryError } from "../../core/base/error.js"
import { namesOf } from "../options/arguments.js"
import { defineCommand } from "../command.js"
import { FLEET } from "../options/fleet-options.js"
import { decisionsText } from "../text/decision-text.js"
import { KMS, METRICS_FILE, TOKEN } from "../options/options.js"
import { measured } from "./measured.js"

export const rewrap = defineCommand({
  name: "rewrap",
  describe: "import the same key material again, with a new expiry: every generation, every Region",
  examples: [
    ["$0 rewrap", "what is due; nothing else is touched, and nothing is spent where nothing is due"],
    ["$0 rewrap payments signer", "these keys now, due or not"],
    ["$0 rewrap --all --expires-in 180d", "every key that can be imported again"],
  ],
  names: { describe: "keys to import again now, whether due or not" },
  options: {
    due: { type: "boolean", default: false, describe: "what is due (default)" },
    all: { type: "boolean", default: false, describe: "every key, due or not" },
    "expires-in": {
      type: "string",
      requiresArg: true,
      describe: "another expiry than the key's own: a duration under 365d, a time (RFC 3339), or never",
    },
    yes: {
      type: "boolean",
      default: false,
      describe: "also let material end earlier than it would, with --all or --due",
    },
    "include-disabled": FLEET["include-disabled"],
    ...METRICS_FILE,
    ...TOKEN,
    ...KMS,
  },
  async run(args, surroundings) {
    const names = namesOf(args)
    const chosen = [args.due && "--due", args.all && "--all", names.length > 0 && "names"].filter(
      (choice) => choice !== false,
    )
    if (chosen.length > 1) throw new KeyferryError("ERR_USAGE", `${chosen.join(" and ")} exclude each other`)
    const { checkExpiresIn } = await import("../../core/base/expiry.js")
    if (args.expiresIn !== undefined) checkExpiresIn(args.expiresIn)
    const { reconcile } = await import("../../app/fleet/reconcile.js")
    const { fleetKeys } = await import("../../app/fleet/fleet.js")
    const { exitOf, summarise } = await import("../../core/plan/row.js")
    const rows = await measured(args, surroundings, async () => {
      const fleet = await surroundings.world.fleet({ lock: true })
      using line = surroundings.terminal.progressLine("rewrapping")
      return await reconcile(fleet, await fleetKeys(fleet, names), {
        // what was asked for once and not finished goes on by itself
        actions: new Set(["rewrap", "finish-rotation", "finish-replacement"]),
        depth: { tags: false, materials: "needed" },
        untilDone: false,
        force: names.length > 0 ? "named" : args.all ? "all" : null,
        includeDisabled: args.includeDisabled,
        expiresIn: args.expiresIn ?? null,
        shorten: args.yes,
        onRow: line.onRow,
      })
    })
    return {
      result: { keys: rows, summary: summarise(rows) },
      text: (layout) => decisionsText(rows, "rewrap", layout),
      exit: exitOf(rows),
    }
  },
})
