import { defineCommand } from "../command.js"

export const logRotate = defineCommand({
  name: "log rotate",
  describe: "close the earlier years of the custody log: move them to a file that is written no more",
  examples: [["$0 log rotate", "the chain goes on: the log begins with the hash of the last line that was closed"]],
  options: {},
  async run(_args, { world }) {
    const { closeEarlierYears } = await import("../../host/state-archive.js")
    const closed = await closeEarlierYears(world)
    const text =
      closed === null
        ? "no line of the custody log is of an earlier year"
        : `${closed.lines} lines of the custody log are in ${closed.file} now; the last one's hash is ${closed.head}`
    return { result: { outcome: closed === null ? "nothing" : "done", closed }, text }
  },
})
