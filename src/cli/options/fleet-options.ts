import { KeyferryError } from "../../core/base/error.js"
import type { Action } from "../../core/plan/reason.js"
import type { OptionTable } from "../command.js"
import { checkedName } from "./arguments.js"

/** What `--only` can name, and what it stands for. */
const ONLY: Readonly<Record<string, readonly Action[]>> = {
  provision: ["provision", "replicate"],
  rewrap: ["rewrap"],
  rotate: ["rotate", "finish-rotation", "finish-replacement"],
  correct: ["correct"],
}

export const FLEET = {
  only: {
    type: "string",
    requiresArg: true,
    describe: `only this much of it: a list of ${Object.keys(ONLY).join(", ")}`,
  },
  key: { type: "string", array: true, requiresArg: true, describe: "only this key; may be given again" },
  "include-disabled": {
    type: "boolean",
    default: false,
    describe: "import into disabled KMS keys too, which enables them, and disable them again at once",
  },
} as const satisfies OptionTable

/** The actions that `--only` leaves; all without it. Throws ERR_USAGE for another word. */
export function actionsOf(only: string | undefined): ReadonlySet<Action> {
  const words = only === undefined ? Object.keys(ONLY) : only.split(",")
  return new Set(
    words.flatMap((word) => {
      const actions = Object.hasOwn(ONLY, word) ? ONLY[word] : undefined
      if (actions !== undefined) return actions
      throw new KeyferryError("ERR_USAGE", `--only '${word}' is none of ${Object.keys(ONLY).join(", ")}`)
    }),
  )
}

export function keysOf(names: readonly string[] | undefined): readonly string[] {
  return [...new Set((names ?? []).map((name) => checkedName("key", name)))]
}
