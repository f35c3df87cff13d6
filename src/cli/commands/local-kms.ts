import { KeyferryError } from "../../core/base/error.js"
import { defineCommand } from "../command.js"

export const localKms = defineCommand({
  name: "local-kms",
  describe: "run the local KMS for development and CI: a strict double of AWS KMS' import, never for production",
  examples: [
    ["$0 local-kms --port 4599", "listens on 127.0.0.1 until it is stopped"],
    [
      "$0 local-kms --port 4599 --clock 2030-01-01T00:00:00Z --regions eu-west-3,eu-central-1",
      "at another time, with two Regions",
    ],
  ],
  handlesSignals: true,
  options: {
    port: { type: "string", requiresArg: true, default: "0", describe: "TCP port; 0 takes a free one and prints it" },
    listen: {
      type: "string",
      requiresArg: true,
      describe: "address other than 127.0.0.1; whoever reaches it can use every key",
    },
    state: { type: "string", requiresArg: true, describe: "file that keeps the state; it holds plaintext keys" },
    clock: {
      type: "string",
      requiresArg: true,
      describe: "start of its clock: an ISO 8601 time, or an offset such as +90d",
    },
    regions: { type: "string", requiresArg: true, describe: "the only Regions, separated by commas; default: any" },
    account: { type: "string", requiresArg: true, describe: "account number; 111122223333, or that of the state file" },
    quotas: { choices: ["off", "aws"], default: "off", describe: "request quotas: none, or those of AWS" },
    "rotation-seconds": {
      type: "string",
      requiresArg: true,
      describe: "how long an on-demand rotation takes by its clock",
    },
    "replication-seconds": {
      type: "string",
      requiresArg: true,
      describe: "how long making a replica key or changing the primary Region takes by its clock",
    },
    "fresh-wrapping-keys": {
      type: "boolean",
      default: false,
      describe: "a new RSA key for every GetParametersForImport",
    },
    "enforce-policies": {
      type: "string",
      requiresArg: true,
      describe:
        "enforce IAM and key policies: a file with a policy for everyone, or a folder with NAME.json by role or access key ID",
    },
  },
  async run(args, { stopped, progress }) {
    const { startLocalKms } = await import("../../local-kms/server/server.js")
    const { account, state, clock, listen, enforcePolicies, rotationSeconds, replicationSeconds } = args
    const kms = await startLocalKms({
      port: wholeNumber("port", args.port),
      ...(args.regions === undefined ? {} : { regions: args.regions.split(",").map((region) => region.trim()) }),
      quotas: args.quotas,
      freshWrappingKeys: args.freshWrappingKeys,
      ...(rotationSeconds === undefined ? {} : { rotationSeconds: wholeNumber("rotation-seconds", rotationSeconds) }),
      ...(replicationSeconds === undefined
        ? {}
        : { replicationSeconds: wholeNumber("replication-seconds", replicationSeconds) }),
      ...(account === undefined ? {} : { account }),
      ...(state === undefined ? {} : { stateFile: state }),
      ...(clock === undefined ? {} : { clock }),
      ...(listen === undefined ? {} : { listen }),
      ...(enforcePolicies === undefined ? {} : { enforcePolicies }),
    }).catch(refuse)
    for (const warning of kms.warnings) progress.warn(warning)
    process.stdout.write(`${kms.ready}\n`)
    await stopped
    await kms.close()
    return { result: {}, text: "" }
  },
})

function wholeNumber(option: string, text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw new KeyferryError("ERR_USAGE", `--${option} '${text}' is no whole number`)
}

function refusedFile(error: Error): KeyferryError {
  const { message } = error
  return "fault" in error && error.fault === "in use"
    ? new KeyferryError("ERR_STATE_LOCKED", message, { cause: error, hint: "stop that one, or give another --state" })
    : new KeyferryError("ERR_INPUT_UNREADABLE", message, {
        cause: error,
        hint: "give another --state, or remove the file: a local KMS makes it anew",
      })
}

/** Options that make no sense, and a port that is taken, are the operator's to correct. */
function refuse(error: unknown): never {
  if (!(error instanceof Error)) throw error
  if (error.name === "OptionError") throw new KeyferryError("ERR_USAGE", error.message, { cause: error })
  if (error.name === "StateFileError") throw refusedFile(error)
  const { code, syscall } = error as NodeJS.ErrnoException
  if (syscall === "listen" || syscall === "getaddrinfo") {
    const hint = "choose another --port or --listen, or 0 for a free port"
    throw new KeyferryError("ERR_USAGE", "the local KMS cannot listen there", {
      cause: error,
      hint,
      causes: [{ code: code ?? "", message: error.message }],
    })
  }
  throw error
}
