import { defineCommand } from "../command.js"

export const configSchema = defineCommand({
  name: "config schema",
  describe: "print the JSON Schema (draft 2020-12) of the configuration file, for editors",
  examples: [
    [
      "$0 config schema > keyferry.schema.json",
      "then begin the file with: # yaml-language-server: $schema=keyferry.schema.json",
    ],
  ],
  options: {},
  async run() {
    const { jsonSchema } = await import("../../config/schema.js")
    const { profileFamilies } = await import("../../pkcs11/profiles.js")
    const schema = jsonSchema(profileFamilies())
    return { result: schema, text: () => JSON.stringify(schema, null, 2) }
  },
})
