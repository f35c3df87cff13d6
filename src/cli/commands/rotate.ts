import { defineCommand } from "../command.js"
import { CONFIRMED } from "../options/ending-options.js"
import { KMS, REWRAPPING, TOKEN } from "../options/options.js"
import { refuseOtherKeyArn } from "../options/key-of-others.js"
import { abandonRotations } from "./rotate-abandon.js"
import { ofMany, severally } from "./severally.js"
import { untilTold } from "./until-told.js"
import { someNames } from "../options/arguments.js"

export const rotate = defineCommand({
  name: "rotate",
  describe: "new key material from the token for the same KMS key, which then rotates to it (symmetric keys)",
  examples: [
    ["$0 rotate payments", "the next generation; older ciphertexts still decrypt"],
    ["$0 rotate --abandon payments", "a rotation that was asked for and not finished is given up"],
    ["$0 rotate payments --expires-in 180d --prove full", "with another expiry, and proven"],
  ],
  names: { describe: "keys to rotate" },
  options: {
    ...REWRAPPING,
    abandon: {
      type: "boolean",
      default: false,
      describe: "give up a rotation that was asked for, or begun and not made by KMS yet; says what that means",
    },
    yes: CONFIRMED.yes,
    ...TOKEN,
    ...KMS,
  },
  async run(args, surroundings) {
    const { world, terminal } = surroundings
    const names = someNames(args)
    if (args.abandon) return await abandonRotations(names, args, surroundings)
    const { askRotations, rotateAsked } = await import("../../app/rotate/asked.js")
    const wishes = {
      expiresIn: args.expiresIn ?? null,
      wrappingAlgorithm: args.wrappingAlgorithm ?? null,
      wrappingKeySpec: args.wrappingKeySpec ?? null,
      prove: args.prove,
    }
    const { owner, manifest } = await world.settings()
    const deps = await world.deps({ names })
    const target = await world.target()
    const request = { owner, target, names, wishes }
    for (const entry of await Promise.all(names.map((name) => deps.inventory.get(name, target)))) {
      if (entry !== undefined) refuseOtherKeyArn(manifest, entry)
    }
    const takenUp = await askRotations(deps, request)
    return await untilTold(deps, takenUp, async () => {
      using line = terminal.progressLine("rotating")
      const run = (name: string) => rotateAsked(ofMany(deps, names, name), request, takenUp, name)
      return await severally({ names, target, reason: "ROTATED", run, onRow: line.onRow })
    })
  },
})
