import { defineCommand } from "../command.js"
import { pathOf } from "../options/arguments.js"
import { archiveText } from "../text/archive-text.js"

export const stateImport = defineCommand({
  name: "state import",
  describe: "write what an archive holds into an empty state directory or database: a restore",
  examples: [["$0 state import /backup/keyferry-2026-03-01.jsonl", "verified to its end before anything is written"]],
  path: { name: "file", describe: "the archive to read" },
  options: {},
  async run(args, { world }) {
    const { importState } = await import("../../host/state-archive.js")
    const result = await importState(world, pathOf(args, "file"))
    return { result, text: `imported from ${result.file}\n${archiveText(result)}` }
  },
})
