import { checkedGeneration, checkedName } from "../options/arguments.js"
import { defineCommand } from "../command.js"
import { confirm } from "../text/confirm.js"
import { KMS, NAME, SOURCE_KEY, TOKEN } from "../options/options.js"

const DESTROYED = "a source key that is destroyed cannot be brought back"

const ERASED = [
  "the custody key that it is sealed under is destroyed: what other state directories sealed under it, and every backup of this vault, cannot be opened any more",
  "a new custody key is made for all other sealed keys: back the token up afterwards",
]

export const keyDestroy = defineCommand({
  name: "key destroy",
  describe:
    "destroy a source key for good; refused while a KMS key depends on it, by the state directory or by KMS in --region",
  examples: [
    ["$0 key destroy --name payments --yes", "without asking"],
    ["$0 key destroy --name payments --crypto-erase", "and no copy of its vault file can be opened any more"],
  ],
  options: {
    name: { ...NAME, demandOption: true },
    ...SOURCE_KEY,
    unrecorded: {
      type: "boolean",
      default: false,
      describe: "no KMS key depends on it, as you know where neither the state directory nor KMS can tell",
    },
    "crypto-erase": {
      type: "boolean",
      default: false,
      describe: "reseal all other keys under a new custody key and destroy the old one, so that copies are worthless",
    },
    yes: { type: "boolean", default: false, describe: "yes, destroy it" },
    ...TOKEN,
    ...KMS,
  },
  async run(args, { world, progress }) {
    const { cryptoErase } = await import("../../app/custody/crypto-erase.js")
    const { destroyKey } = await import("../../app/source-key/destroy.js")
    const name = checkedName("name", args.name)
    const generation = checkedGeneration(args.generation)
    const consequences = args.cryptoErase ? [DESTROYED, ...ERASED] : [DESTROYED]
    await confirm({ name, consequences, yes: args.yes }, { progress })
    const { owner } = await world.settings()
    const deps = await world.withoutKms()
    const bare = { ...deps, token: deps.token.hsm }
    const erase = args.cryptoErase ? (id: string) => cryptoErase(bare, { owner, ids: [id] }) : null
    const request = { owner, name, generation, id: args.id, unrecorded: args.unrecorded, erase }
    const result = await destroyKey(deps, request, {
      // a Region that cannot be opened is one that nothing is known of
      openRegion: (region) => world.kms(null, region).catch(() => null),
      openKms: () => world.kms(),
    })
    return { result, text: [`destroyed ${result.label} (ID ${result.id})`, result.note ?? []].flat().join("\n") }
  },
})
