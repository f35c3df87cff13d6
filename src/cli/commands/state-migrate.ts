import { KeyferryError } from "../../core/base/error.js"
import { defineCommand } from "../command.js"

export const stateMigrate = defineCommand({
  name: "state migrate",
  describe: "make keyferry's tables in the database of state.postgres, or bring them to this version",
  examples: [["$0 state migrate --config keyferry.yaml", "as a user who may make tables; agents need no such right"]],
  options: {},
  async run(_args, { world }) {
    const postgres = await world.stored.postgres()
    if (postgres === null) {
      throw new KeyferryError(
        "ERR_USAGE",
        "no database is named: a state directory is brought to this version by itself",
        {
          hint: "name one by state.postgres in the configuration file, or KEYFERRY_STATE_URL",
        },
      )
    }
    const { migrateDatabase } = await import("../../host/database-place.js")
    const { place, from, to } = await migrateDatabase(postgres)
    const text =
      from === to ? `${place} has version ${to} already` : `${place} was brought from version ${from} to ${to}`
    return { result: { outcome: from === to ? "nothing" : "done", from, to }, text }
  },
})
