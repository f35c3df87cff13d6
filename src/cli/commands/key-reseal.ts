import type { ResealRow } from "../../app/custody/reseal-row.js"
import { type Custody, CUSTODY_NAMES } from "../../core/key/custody.js"
import { KeyferryError } from "../../core/base/error.js"
import { exitOf, summarise } from "../../core/plan/row.js"
import { namesOf } from "../options/arguments.js"
import { defineCommand } from "../command.js"
import { TOKEN } from "../options/options.js"
import type { Layout } from "../text/layout.js"
import { rowsText } from "../text/rows-text.js"

/** Why a custody is none to reseal to. */
const REFUSED: Readonly<Record<Exclude<Custody, "sealed">, readonly [why: string, hint: string]>> = {
  token: [
    "a sealed key does not become a token object again: it would be extractable there for good",
    "`keyferry replace` makes a new key of the custody that you want",
  ],
  locked: ["a key is locked by another command, once its import is proven", "`keyferry key lock --name NAME`"],
  session: ["a session key dies with its command, so nothing can be kept so", "choose another custody for a new key"],
}

export const keyReseal = defineCommand({
  name: "key reseal",
  describe: "seal key material anew: under the custody key in force or a new one, or from token objects into the vault",
  examples: [
    ["$0 key reseal --all --new-custody-key", "every sealed key under a custody key that is made now"],
    ["$0 key reseal payments --to sealed", "its token objects become files of the vault"],
  ],
  names: { describe: "keys to reseal, all generations of each" },
  options: {
    all: { type: "boolean", default: false, describe: "every key" },
    to: { choices: CUSTODY_NAMES, describe: "custody to go over to; sealed takes token objects into the vault" },
    "new-custody-key": {
      type: "boolean",
      default: false,
      describe: "make the next custody key first; one that an earlier run made and did not finish with is taken up",
    },
    ...TOKEN,
  },
  async run(args, { world, terminal }) {
    const { reseal } = await import("../../app/custody/reseal.js")
    const names = namesOf(args)
    if (names.length > 0 === args.all) throw new KeyferryError("ERR_USAGE", "give names of keys, or --all")
    if (args.to !== undefined && args.to !== "sealed") {
      const [why, hint] = REFUSED[args.to]
      throw new KeyferryError("ERR_CUSTODY_REFUSED", `--to ${args.to}: ${why}`, { hint })
    }
    const { owner } = await world.settings()
    const deps = await world.withoutKms()
    const hsmDeps = { ...deps, token: deps.token.hsm }
    const { askNewCustodyKey } = await import("../../app/custody/reseal-asked.js")
    const asked = args.newCustodyKey ? await askNewCustodyKey(hsmDeps, owner) : null
    using line = terminal.progressLine("sealing")
    const { keys, custodyKey } = await reseal(hsmDeps, {
      owner,
      names: args.all ? null : names,
      to: args.to ?? null,
      newerThan: asked?.newestBefore ?? null,
      onRow: line.onRow,
    })
    const words = {
      columns: [
        { head: "GENERATION", cell: ({ generation }: ResealRow) => generation },
        { head: "CUSTODY", cell: ({ custody }: ResealRow) => custody },
      ],
      none: "nothing to reseal",
    }
    const text = (layout: Layout): string => rowsText(keys, words, layout)
    const told = async (): Promise<void> => {
      if (asked !== null) await deps.operations.remove(asked)
    }
    return { result: { keys, summary: summarise(keys), custodyKey }, text, exit: exitOf(keys), told }
  },
})
