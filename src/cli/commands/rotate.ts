import { defineCommand } from "../command.js"
import { KMS, REWRAPPING, TOKEN } from "../options/options.js"
import { severally } from "./severally.js"
import { someNames } from "../options/arguments.js"

export const rotate = defineCommand({
  name: "rotate",
  describe: "new key material from the token for the same KMS key, which then rotates to it (symmetric keys)",
  examples: [
    ["$0 rotate payments", "the next generation; older ciphertexts still decrypt"],
    ["$0 rotate payments --expires-in 180d --prove full", "with another expiry, and proven"],
  ],
  names: { describe: "keys to rotate" },
  options: { ...REWRAPPING, ...TOKEN, ...KMS },
  async run(args, { world }) {
    const names = someNames(args)
    const { rotateKey } = await import("../../app/rotate/rotate.js")
    const { findKey } = await import("../../app/kms-key/entry.js")
    const wishes = {
      expiresIn: args.expiresIn ?? null,
      wrappingAlgorithm: args.wrappingAlgorithm ?? null,
      wrappingKeySpec: args.wrappingKeySpec ?? null,
      prove: args.prove,
    }
    const { owner } = await world.settings()
    const deps = await world.deps()
    const target = await world.target()
    return await severally({
      names,
      target,
      reason: "ROTATED",
      run: async (name) => {
        const entry = await findKey(deps, { owner, name, target })
        return await rotateKey(deps, entry, wishes)
      },
    })
  },
})
