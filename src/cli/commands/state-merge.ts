import { exitOf, summarise } from "../../core/plan/row.js"
import type { Merging } from "../../app/merge/merge.js"
import { defineCommand } from "../command.js"
import { needed } from "../options/arguments.js"
import { KMS } from "../options/options.js"
import type { Layout } from "../text/layout.js"
import { rowsText } from "../text/rows-text.js"

export const stateMerge = defineCommand({
  name: "state merge",
  describe: "join a copy of the state directory into this one, losing nothing of either",
  examples: [
    ["$0 state merge /mnt/other-host/keyferry", "two hosts worked on copies of one state: here is all of both then"],
    ["$0 state merge ./restored --region eu-west-3", "where both copies rotated a key, KMS is asked for the order"],
  ],
  positional: { name: "dir", describe: "the copy: another state directory, which stays as it is" },
  options: { ...KMS },
  async run(args, { world, progress }) {
    const dir = needed("dir", (args as { readonly dir?: string }).dir)
    const { mergeState } = await import("../../app/merge/merge.js")
    const deps = await world.mergeDeps()
    const merging = await mergeState(deps, await (await world.stored.place()).copyOf(dir))
    const { keys, taken, problems, log } = merging
    for (const problem of problems) progress.warn(problem)
    return {
      result: { keys, summary: summarise(keys), taken, problems, log },
      text: (layout) => textOf(merging, layout),
      exit: exitOf(keys),
    }
  },
})

const TAKEN: Readonly<Record<keyof Merging["taken"], string>> = {
  sealed: "files of the vault",
  custodyKeys: "records of custody keys",
  operations: "operations that are not finished",
  toBeLocked: "source keys that are to be locked",
  pinMarkers: "markers of refused PINs",
}

function textOf({ keys, taken, log }: Merging, layout: Layout): string {
  const others = Object.entries(TAKEN).flatMap(([kind, words]) => {
    const count = taken[kind as keyof Merging["taken"]]
    return count === 0 ? [] : [`taken over: ${count} ${words}`]
  })
  return [
    rowsText(keys, { columns: [], none: "the copy has no keys" }, layout),
    ...(layout.quiet ? [] : others),
    ...(log === null || layout.quiet ? [] : [`its custody log is kept in ${log}`]),
  ].join("\n")
}
