import { KeyferryError } from "../../core/base/error.js"
import type { Action } from "../../core/plan/reason.js"
import { actionsOfWork, isWork, WORK_NAMES } from "../../core/plan/work.js"
import type { OptionTable } from "../command.js"
import { checkedName } from "./arguments.js"

export const FLEET = {
  only: {
    type: "string",
    requiresArg: true,
    describe: `only this much of it: a list of ${WORK_NAMES.join(", ")}`,
  },
  key: { type: "string", array: true, requiresArg: true, describe: "only this key; may be given again" },
  "include-disabled": {
    type: "boolean",
    default: false,
    describe: "import into disabled KMS keys too, which enables them, and disable them again at once",
  },
} as const satisfies OptionTable

/** The same as they are given. */
export interface FleetArgs {
  readonly only?: string | undefined
  readonly key?: readonly string[] | undefined
  readonly includeDisabled?: boolean
}

/** The actions that `--only` leaves; all without it. Throws ERR_USAGE for another word. */
export function actionsOf(only: string | undefined): ReadonlySet<Action> {
  if (only === undefined) return actionsOfWork(WORK_NAMES)
  const words = only.split(",")
  const unknown = words.find((word) => !isWork(word))
  if (unknown !== undefined) {
    throw new KeyferryError("ERR_USAGE", `--only '${unknown}' is none of ${WORK_NAMES.join(", ")}`)
  }
  return actionsOfWork(words.filter(isWork))
}

export function keysOf(names: readonly string[] | undefined): readonly string[] {
  return [...new Set((names ?? []).map((name) => checkedName("key", name)))]
}
