import type { EndRequest } from "../../app/ending/plan.js"
import { ENDINGS } from "../../core/records/ending.js"
import { exitOf, summarise } from "../../core/plan/row.js"
import { nameOf } from "../options/arguments.js"
import type { Surroundings } from "../command.js"
import { refuseOtherKeyArn } from "../options/key-of-others.js"
import { confirm } from "../text/confirm.js"
import { endingText } from "../text/ending-text.js"
import type { Layout } from "../text/layout.js"

interface EndFlags {
  readonly target?: string | undefined
  readonly yes: boolean
  readonly loseLastCopy: boolean
}

/** Looks, says what will stop working, asks, and does it. */
export async function endKey(args: EndFlags, request: EndRequest, { world, progress }: Surroundings) {
  const name = nameOf({ ...args })
  const { findKey } = await import("../../app/kms-key/entry.js")
  const { planEnding } = await import("../../app/ending/plan.js")
  const { carryOutEnding } = await import("../../app/ending/carry-out.js")
  const { lastCopy, stops } = ENDINGS[request.ending]
  const { owner, manifest } = await world.settings()
  const deps = { ...(await world.withoutToken({ names: [name] })), token: lastCopy ? await world.tokenIfGiven() : null }
  const entry = await findKey(deps, { owner, name, target: args.target ?? null })
  refuseOtherKeyArn(manifest, entry)
  const plan = await planEnding(deps, entry, request)
  if (plan.steps.some(({ todo }) => todo) && stops) {
    const consequences =
      plan.lastCopy === null ? plan.consequences : [...plan.consequences, `FOR GOOD: ${plan.lastCopy}`]
    await confirm({ name, consequences, yes: args.yes }, { progress })
  }
  const rows = await carryOutEnding(deps, plan, args)
  return {
    result: { keys: rows, summary: summarise(rows) },
    text: (layout: Layout) => endingText(rows, layout),
    exit: exitOf(rows),
  }
}
