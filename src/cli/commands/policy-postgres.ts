import { defineCommand } from "../command.js"

export const policyPostgres = defineCommand({
  name: "policy postgres",
  describe: "print the SQL that gives a role of PostgreSQL what keyferry needs of the state's database, and no more",
  examples: [
    ["$0 policy postgres --role keyferry > grants.sql", "for the owner of the tables to run, after `state migrate`"],
  ],
  options: {
    role: {
      type: "string",
      requiresArg: true,
      demandOption: true,
      describe: "role that keyferry logs in as: the user of state.postgres.url",
    },
  },
  async run({ role }) {
    const { grantsFor } = await import("../../store/postgres/grants.js")
    const sql = grantsFor(role)
    return { result: { role, sql }, text: () => sql }
  },
})
