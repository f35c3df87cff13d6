import { fileURLToPath } from "node:url"

/**
 * Preloaded into the built `keyferry` (`node --import`), it sets the clock that this process sees ahead by
 * KEYFERRY_TEST_AHEAD seconds, so that it goes with the clock of the local KMS. A release build reads no such variable.
 */

/** Path of this file, for `--import`. */
export const CLOCK_AHEAD = fileURLToPath(import.meta.url)

const aheadMs = Number(process.env["KEYFERRY_TEST_AHEAD"] ?? 0) * 1000

if (aheadMs !== 0) {
  const now = Date.now.bind(Date)
  globalThis.Date = new Proxy(Date, {
    construct: (target, args: unknown[], newTarget) =>
      Reflect.construct(target, args.length === 0 ? [now() + aheadMs] : args, newTarget) as Date,
    get: (target, property, receiver) =>
      property === "now" ? () => now() + aheadMs : (Reflect.get(target, property, receiver) as unknown),
  })
}
