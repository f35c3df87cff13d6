import type { Idle } from "../../app/ending/plan.js"
import { parseDuration } from "../../core/base/expiry.js"
import { KeyferryError } from "../../core/base/error.js"
import { TOKEN } from "./options.js"

/** Options of the commands that end something. */

export const KEY_NAME = { describe: "name of the key" } as const

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

/** KMS ScheduleKeyDeletion, `PendingWindowInDays`. */
const WINDOW = { least: 7, most: 30 }

export const PENDING_WINDOW = {
  type: "string",
  default: "30",
  describe: "7 to 30: so long it can be cancelled",
} as const

/** A key that was used lately is not taken away by one word. */
export const IDLE = {
  "idle-for": {
    type: "string",
    requiresArg: true,
    default: "30d",
    describe: "refuse a key that was used since so long ago; 0s for none",
  },
  "although-used": {
    type: "boolean",
    default: false,
    describe: "do it although the key was used within --idle-for",
  },
} as const

/** @throws ERR_USAGE */
export function idleOf(args: { readonly idleFor: string; readonly althoughUsed: boolean }): Idle {
  const idleFor = parseDuration(args.idleFor)
  if (idleFor !== undefined) return { idleFor, althoughUsed: args.althoughUsed }
  throw new KeyferryError("ERR_USAGE", `--idle-for '${args.idleFor}' is no duration such as 30d`)
}

/** The days of `--pending-window-days`. @throws ERR_USAGE */
export function windowOf(text: string): number {
  const days = /^\d{1,2}$/.test(text) ? Number(text) : NaN
  if (days >= WINDOW.least && days <= WINDOW.most) return days
  throw new KeyferryError("ERR_USAGE", `--pending-window-days '${text}' is not ${WINDOW.least} to ${WINDOW.most}`)
}
