import { printable } from "../../core/base/printable.js"
import { worstExit } from "../../core/base/exit-code.js"
import { defineCommand } from "../command.js"
import { KMS, TOKEN } from "../options/options.js"
import type { Layout } from "../text/layout.js"
import { wrapped } from "../text/width.js"

export const doctor = defineCommand({
  name: "doctor",
  describe:
    "check library, token, PIN, login, mechanisms by self-test, custody, vault, AWS identity, KMS, clock and state",
  examples: [
    ["$0 doctor --region eu-west-3", "token from KEYFERRY_TOKEN; one line each: ok, warn or fail, with the fix"],
  ],
  options: {
    deep: { type: "boolean", default: false, describe: "open every sealed key, not the custody key's canary alone" },
    ...TOKEN,
    ...KMS,
  },
  async run(args, { world }) {
    const { doctorLines } = await import("../../host/doctor.js")
    const lines = await doctorLines(world, args)
    const checks = lines.map(({ id, status, message, hint }) => ({ id, status, message, hint }))
    const width = Math.max(...checks.map(({ id }) => id.length))
    const text = (layout: Layout): string =>
      checks
        .filter(({ status }) => !layout.quiet || status !== "ok")
        .flatMap(({ id, status, message, hint }) => [
          `${status.padEnd(4)}  ${id.padEnd(width)}  ${printable(message)}`,
          ...(hint === null ? [] : [`${" ".repeat(width + 8)}fix: ${printable(hint)}`]),
        ])
        .map((line) => wrapped(line, layout.width, width + 8))
        .join("\n")
    return { result: { checks }, text, exit: worstExit(lines.map(({ exit }) => exit)) }
  },
})
