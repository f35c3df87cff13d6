import { defineCommand } from "../command.js"

export const keyBackupConfirmed = defineCommand({
  name: "key backup-confirmed",
  describe: "record that a backup of the token with its custody key was made, by the vendor's tool",
  examples: [["$0 key backup-confirmed --note 'safe 2, envelope 17'", "of the custody key in force"]],
  options: {
    "custody-key": {
      type: "string",
      requiresArg: true,
      describe: "CKA_ID in hex; the newest unless given, where one token has any",
    },
    note: { type: "string", requiresArg: true, describe: "where it is and who has it, for the custody log" },
  },
  async run(args, { world }) {
    const { confirmBackup } = await import("../../app/custody/backup.js")
    const { owner } = await world.settings()
    const state = await world.state({ lock: true })
    const request = { owner, custodyKey: args.custodyKey ?? null, note: args.note ?? null }
    const result = await confirmBackup(state, request)
    return {
      result,
      text: `the backup of ${result.label} (ID ${result.id}) of token "${result.token.label}" (serial ${result.token.serial}) is confirmed, on ${result.backupConfirmedAt}`,
    }
  },
})
