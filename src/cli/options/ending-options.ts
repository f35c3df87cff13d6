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

/** The days of `--pending-window-days`. @throws ERR_USAGE */
export function windowOf(text: string): number {
  const days = /^\d{1,2}$/.test(text) ? Number(text) : NaN
  if (days >= WINDOW.least && days <= WINDOW.most) return days
  throw new KeyferryError("ERR_USAGE", `--pending-window-days '${text}' is not ${WINDOW.least} to ${WINDOW.most}`)
}
