import { KeyferryError } from "../../core/base/error.js"

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
