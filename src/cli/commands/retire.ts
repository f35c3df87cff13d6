import { exitOf, summarise } from "../../core/plan/row.js"
import { confirm } from "../text/confirm.js"
import { defineCommand } from "../command.js"
import { nameOf } from "../options/arguments.js"
import { CONFIRMED, IDLE, idleOf, KEY_NAME, PENDING_WINDOW, windowOf } from "../options/ending-options.js"
import { KMS } from "../options/options.js"
import { endingText } from "../text/ending-text.js"

export const retire = defineCommand({
  name: "retire",
  describe: "end the life of the KMS keys that `replace` left: disable them, then schedule their deletion",
  examples: [
    ["$0 retire signer --yes", "KMS deletes the replaced key in 30 days"],
    ["$0 retire signer --disable-only", "first see who still needs it: `aws kms enable-key` gives it back"],
  ],
  names: KEY_NAME,
  options: {
    "pending-window-days": PENDING_WINDOW,
    "disable-only": { type: "boolean", default: false, describe: "disable it, and leave it at that" },
    ...CONFIRMED,
    ...IDLE,
    ...KMS,
  },
  async run(args, { world, progress }) {
    const name = nameOf(args)
    const request = {
      disableOnly: args.disableOnly,
      pendingWindowDays: windowOf(args.pendingWindowDays),
      idle: idleOf(args),
    }
    const { findKey } = await import("../../app/kms-key/entry.js")
    const { planRetirement, retireKeys } = await import("../../app/ending/retire.js")
    const { owner } = await world.settings()
    const deps = { ...(await world.withoutToken({ names: [name] })), token: null }
    const entry = await findKey(deps, { owner, name, target: args.target ?? null })
    const retirements = await planRetirement(deps, entry, request)
    const consequences = retirements.flatMap((retirement) => retirement.consequences)
    if (consequences.length > 0) await confirm({ name, consequences, yes: args.yes }, { progress })
    const rows = await retireKeys(deps, retirements, request)
    return {
      result: { keys: rows, summary: summarise(rows) },
      text:
        rows.length === 0
          ? `${name} has no replaced KMS key that is not retired`
          : (layout) => endingText(rows, layout),
      exit: exitOf(rows),
    }
  },
})
