import type { EndRequest } from "../app/ending/plan.js"
import { ENDINGS } from "../core/key/ending.js"
import { KeyferryError } from "../core/base/error.js"
import { exitOf, summarise } from "../core/plan/row.js"
import { checkedName, namesOf } from "./options/arguments.js"
import type { Output, Surroundings } from "./command.js"
import { confirm } from "./confirm.js"
import { KMS, TOKEN } from "./options/options.js"
import { endingText } from "./text/ending-text.js"

export const KEY_NAME = { describe: "name of the key" } as const

/** Options of every command that ends something: which key, and the operator's word. */
export const WHICH = KMS

export const CONFIRMED = {
  yes: {
    type: "boolean",
    default: false,
    describe: "yes, do it; without it the key's name is asked for at a terminal",
  },
} as const

export const LAST_COPY = {
  "lose-last-copy": {
    type: "boolean",
    default: false,
    describe: "do it although neither the token nor the vault could give the key material again",
  },
  ...TOKEN,
} as const

/** The one name that a command on a single key takes. */
export function nameOf(args: Readonly<Record<string, unknown>>): string {
  const names = namesOf(args)
  const [name, another] = names
  if (another === undefined) return checkedName("NAME", name, "the name")
  throw new KeyferryError("ERR_USAGE", `one name is taken, and ${names.length} are given: ${names.join(", ")}`)
}

interface EndFlags {
  readonly target?: string | undefined
  readonly yes: boolean
  readonly loseLastCopy: boolean
}

/** Looks, says what will stop working, asks, and does it. */
export async function endKey(args: EndFlags, request: EndRequest, { world, progress }: Surroundings): Promise<Output> {
  const name = nameOf({ ...args })
  const { findKey } = await import("../app/kms-key/entry.js")
  const { planEnding } = await import("../app/ending/plan.js")
  const { carryOutEnding } = await import("../app/ending/carry-out.js")
  const { lastCopy, stops } = ENDINGS[request.ending]
  const { owner } = await world.settings()
  const deps = { ...(await world.withoutToken()), token: lastCopy ? await world.tokenIfGiven() : null }
  const entry = await findKey(deps, { owner, name, target: args.target ?? null })
  const plan = await planEnding(deps, entry, request)
  if (plan.steps.some(({ todo }) => todo) && stops) {
    const consequences =
      plan.lastCopy === null ? plan.consequences : [...plan.consequences, `FOR GOOD: ${plan.lastCopy}`]
    await confirm({ name, consequences, yes: args.yes }, { progress })
  }
  const rows = await carryOutEnding(deps, plan, args)
  return { result: { keys: rows, summary: summarise(rows) }, text: endingText(rows), exit: exitOf(rows) }
}
