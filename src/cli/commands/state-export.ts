import { defineCommand } from "../command.js"
import { pathOf } from "../options/arguments.js"
import { archiveText } from "../text/archive-text.js"

export const stateExport = defineCommand({
  name: "state export",
  describe: "write an archive of the state, consistent while other runs go on: a backup",
  examples: [
    ["$0 state export /backup/keyferry-2026-03-01.jsonl", "mode 0600; a file that is there is never overwritten"],
  ],
  path: { name: "file", describe: "the archive to write" },
  options: {},
  async run(args, { world, progress }) {
    const { exportState } = await import("../../host/state-archive.js")
    const result = await exportState(world, pathOf(args, "file"))
    for (const path of result.left) progress.warn(`${path} in the state is not keyferry's, and not in the archive`)
    const exit = result.damaged.length === 0 ? "OK" : "DATAERR"
    return { result, text: `exported to ${result.file}\n${archiveText(result)}`, exit }
  },
})
