import { printable } from "../../core/base/printable.js"
import { defineCommand } from "../command.js"
import { TOKEN } from "../options/options.js"
import type { Layout } from "../text/layout.js"
import { table } from "../text/table.js"

export const tokenList = defineCommand({
  name: "token list",
  describe: "slots and tokens of a PKCS #11 module; needs no PIN",
  examples: [["$0 token list --module /usr/lib/softhsm/libsofthsm2.so", "what the module offers"]],
  options: {
    module: { type: "string", requiresArg: true, describe: "path of the module; else module-path of the token URI" },
    token: TOKEN.token,
  },
  async run(args, { world }) {
    const { describeModule } = await import("../../host/doctor.js")
    const { library, modulePath, slots } = await describeModule(world, args.module)
    const rows = slots.map(({ slotId, token, flags, reason }) => [
      slotId,
      token?.label ?? null,
      token?.serial ?? null,
      token?.manufacturer ?? null,
      token?.model ?? null,
      token?.firmwareVersion ?? null,
      token === null ? reason : flags.join(", "),
    ])
    const head = ["SLOT", "TOKEN", "SERIAL", "MANUFACTURER", "MODEL", "FIRMWARE", "FLAGS"]
    const text = (layout: Layout): string =>
      [printable(`${modulePath}: ${library}`), table(head, rows, layout)].join("\n")
    return { result: { modulePath, library, slots }, text }
  },
})
