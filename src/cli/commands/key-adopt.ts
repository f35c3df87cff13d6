import type { AdoptedKey } from "../../app/adopt/adopt.js"
import { ADOPT_CUSTODIES } from "../../app/adopt/judgement.js"
import { KeyferryError } from "../../core/base/error.js"
import { checkedName } from "../options/arguments.js"
import { defineCommand } from "../command.js"
import { confirm } from "../text/confirm.js"
import { facts } from "../text/facts.js"
import { KMS, NAME, TOKEN, WRAPPING } from "../options/options.js"
import { unlessQuiet } from "../text/layout.js"
import { sourceKeyText } from "../text/source-key-text.js"

export const keyAdopt = defineCommand({
  name: "key adopt",
  describe: "take a key that is in the token already under a name, its attributes judged",
  examples: [
    ["$0 key adopt --label 'prod AES 2024' --name payments --custody token", "stays where it is, under another label"],
    [
      "$0 key adopt --id 0a1b --name payments --key-id alias/payments --yes",
      "into the vault, for a KMS key that has it",
    ],
  ],
  options: {
    label: { type: "string", requiresArg: true, describe: "its CKA_LABEL in the token" },
    id: { type: "string", requiresArg: true, describe: "its CKA_ID in hex" },
    name: { ...NAME, demandOption: true },
    custody: {
      choices: ADOPT_CUSTODIES,
      default: "sealed",
      describe: "sealed moves it into the vault and destroys the token object; token and locked leave it where it is",
    },
    "key-id": {
      type: "string",
      requiresArg: true,
      describe: "EXTERNAL KMS key that has its material, or is to have it: ID, ARN or alias",
    },
    "wrapping-key-spec": WRAPPING["wrapping-key-spec"],
    yes: { type: "boolean", default: false, describe: "yes, destroy the token object once it is in the vault" },
    ...TOKEN,
    ...KMS,
  },
  async run(args, { world, progress }) {
    const { adoptKey } = await import("../../app/adopt/adopt.js")
    const name = checkedName("name", args.name)
    const identity = {
      ...(args.id === undefined ? {} : { id: checkedId(args.id) }),
      ...(args.label === undefined ? {} : { label: args.label }),
    }
    if (Object.keys(identity).length === 0)
      throw new KeyferryError("ERR_USAGE", "give --label or --id of the key in the token")
    if (args.custody === "sealed") {
      const consequences = [
        "once it is sealed, and seen to open again, the object is destroyed: what uses it in the token stops working",
      ]
      await confirm({ name, consequences, yes: args.yes }, { progress })
    }
    const { custody, wrappingKeySpec } = args
    const request = { name, by: identity, custody, wrappingKeySpec }
    const { owner } = await world.settings()
    const deps =
      args.keyId === undefined
        ? { ...(await world.withoutKms({ names: [name] })), kms: null }
        : await world.deps({ names: [name] })
    const kmsKey = args.keyId === undefined ? null : { keyId: args.keyId, target: await world.target() }
    return output(await adoptKey({ ...deps, token: deps.token.hsm }, { ...request, owner, kmsKey }))
  },
})

function output(result: AdoptedKey) {
  const { was, kmsKey, judgement } = result
  const adoption = facts([
    [
      "origin",
      was === null
        ? "adopted by an earlier run"
        : `adopted: it was ${was.label || "without a label"} (${was.id || "without an ID"})`,
    ],
    [
      "KMS key",
      kmsKey === null
        ? null
        : `${kmsKey.keyArn} (${kmsKey.keyState}), ${kmsKey.proof === null ? "no proof yet" : `${kmsKey.proof.kind} ${kmsKey.proof.result}`}`,
    ],
    ["next", kmsKey?.next ?? null],
  ])
  return { result, text: unlessQuiet((layout) => [sourceKeyText(result, layout), adoption, ...judgement].join("\n")) }
}

function checkedId(text: string): string {
  const id = text.toLowerCase()
  if (/^([0-9a-f]{2})+$/.test(id)) return id
  throw new KeyferryError("ERR_USAGE", `--id '${text}' is not hex`)
}
