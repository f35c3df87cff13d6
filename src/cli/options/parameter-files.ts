import type { OptionTable } from "../command.js"

/** The three forms in which import parameters come as files. */
export const PARAMETER_FILES = {
  parameters: {
    type: "string",
    requiresArg: true,
    describe: "parameters file, or the JSON of aws kms get-parameters-for-import",
    group: "Import parameters, one of three forms:",
  },
  "public-key": {
    type: "string",
    requiresArg: true,
    describe: "WrappingPublicKey.bin (DER), with --import-token",
    group: "Import parameters, one of three forms:",
  },
  "import-token": {
    type: "string",
    requiresArg: true,
    describe: "ImportToken.bin, with --public-key",
    group: "Import parameters, one of three forms:",
  },
  "console-zip": {
    type: "string",
    requiresArg: true,
    describe: "zip downloaded from the AWS console",
    group: "Import parameters, one of three forms:",
  },
} as const satisfies OptionTable
