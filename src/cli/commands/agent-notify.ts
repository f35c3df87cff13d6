import { randomUUID } from "node:crypto"
import { KeyferryError } from "../../core/base/error.js"
import { rfc3339 } from "../../core/base/expiry.js"
import { defineCommand } from "../command.js"

export const agentNotify = defineCommand({
  name: "agent notify",
  describe: "send a notification to everybody in agent.notify, to see that it arrives",
  examples: [["$0 agent notify --test --config keyferry.yaml", "who was told, and why who was not"]],
  options: {
    test: { type: "boolean", demandOption: true, describe: "a test: it says so" },
  },
  async run(args, { world, env }) {
    if (!args.test) throw new KeyferryError("ERR_USAGE", "agent notify sends tests alone: give --test")
    const { manifest, owner } = await world.settings()
    const receivers = manifest?.agent?.notify ?? []
    if (receivers.length === 0) {
      throw new KeyferryError("ERR_USAGE", "nobody is to be told: the configuration has no agent.notify", {
        hint: "add it to the configuration file: agent: { notify: [{ webhook: URL, secretFile: PATH }] }",
      })
    }
    const { bodyOf, receiverText, tellReceiver } = await import("../../agent/notify/receiver.js")
    const at = rfc3339(world.clock.now())
    const body = bodyOf(
      {
        id: randomUUID(),
        notification: randomUUID(),
        kind: "test",
        status: "ok",
        reason: "TEST",
        name: null,
        target: null,
        message: "this is a test of agent.notify: nothing is wrong",
        hint: null,
        since: at,
        at,
        recovered: false,
        more: 0,
      },
      owner,
    )
    const receipts: { receiver: string; told: boolean; message: string | null }[] = []
    for (const receiver of receivers) {
      try {
        await tellReceiver(receiver, body, env)
        receipts.push({ receiver: receiverText(receiver), told: true, message: null })
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        receipts.push({ receiver: receiverText(receiver), told: false, message })
      }
    }
    return {
      result: { receivers: receipts },
      text: () => receipts.map(({ receiver, message }) => `${receiver}: ${message ?? "told"}`).join("\n"),
      exit: receipts.every((receiver) => receiver.told) ? "OK" : "UNAVAILABLE",
    }
  },
})
