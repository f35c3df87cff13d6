import type { EndRequest, EndRow } from "../app/ending/plan.js"
import { ENDINGS } from "../core/key/ending.js"
import { KeyferryError } from "../core/base/error.js"
import type { CommonFlags, KmsFlags, TokenFlags } from "../host/wiring.js"
import { checkedName, namesOf } from "./options/arguments.js"
import type { Output, Surroundings } from "./command.js"
import { confirm } from "./confirm.js"
import { KMS, TOKEN } from "./options/options.js"
import { table } from "./text/table.js"

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

interface EndFlags extends TokenFlags, KmsFlags, CommonFlags {
  readonly yes: boolean
  readonly loseLastCopy: boolean
}

/** Looks, says what will stop working, asks, and does it. */
export async function endKey(args: EndFlags, request: EndRequest, surroundings: Surroundings): Promise<Output> {
  const name = nameOf({ ...args })
  const { openWork } = await import("../host/wiring.js")
  const { findKey } = await import("../app/kms-key/entry.js")
  const { planEnding } = await import("../app/ending/plan.js")
  const { carryOutEnding } = await import("../app/ending/carry-out.js")
  const { lastCopy, stops } = ENDINGS[request.ending]
  await using work = await openWork(args, surroundings, { token: lastCopy ? "if given" : "none" })
  const entry = await findKey(work, { owner: work.owner, name, target: args.target ?? null })
  const plan = await planEnding(work, entry, request)
  if (plan.steps.some(({ todo }) => todo) && stops) {
    const consequences =
      plan.lastCopy === null ? plan.consequences : [...plan.consequences, `FOR GOOD: ${plan.lastCopy}`]
    await confirm({ name, consequences, yes: args.yes }, surroundings)
  }
  const { rows, failure } = await carryOutEnding(work, plan, args)
  return {
    result: { keys: rows, summary: summaryOf(rows) },
    text: table(
      ["NAME", "TARGET", "KMS KEY", "OUTCOME", "STATE", "DELETED AT"],
      rows.map((row) => [row.name, row.target, row.keyArn, row.outcome, row.keyState, row.deletionDate]),
    ),
    ...(failure === null ? {} : { exit: failure.exit }),
  }
}

function summaryOf(rows: readonly EndRow[]): Readonly<Record<string, number>> {
  const count = (outcome: EndRow["outcome"]): number => rows.filter((row) => row.outcome === outcome).length
  return { done: count("done"), nothing: count("nothing"), planned: 0, blocked: 0, failed: count("failed") }
}
