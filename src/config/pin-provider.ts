import { createHash } from "node:crypto"
import { stat } from "node:fs/promises"
import { resolve } from "node:path"
import { KeyferryError } from "../core/base/error.js"
import type { PinMarker, PinMarkers, PinToken } from "../core/token/pin-marker.js"
import type { PinProvider } from "../core/ports/pin-provider.js"
import { describePinSource, parsePinSource, type PinSource } from "./pin-source.js"
import { type PinReading, readPin } from "./read-pin.js"

interface PinProviderOptions {
  /** As {@link parsePinSource} takes it. */
  readonly source: string
  readonly markers: PinMarkers
  /** `--retry-pin`: present the PIN once more although it was refused. */
  readonly retryPin: boolean
  readonly env: NodeJS.ProcessEnv
  readonly warn: (text: string) => void
}

/**
 * Gives the PIN of one source, read once, and keeps invariant I6: a PIN that the token refused is not given again, in
 * this run at all, in later runs until the PIN file has changed or `retryPin` is set.
 *
 * @throws ERR_PIN_SOURCE if the source is not understood
 */
export function createPinProvider(options: PinProviderOptions): PinProvider {
  const source = parsePinSource(options.source)
  const sourceDigest = digestOf(source)
  let reading: Promise<PinReading> | undefined
  const refusedNow = new Set<string>()

  const refusedBefore = ({ serial }: PinToken): KeyferryError =>
    new KeyferryError(
      "ERR_TOKEN_PIN_REFUSED_BEFORE",
      `the PIN from ${describePinSource(source)} was refused by token ${serial} before and is not presented again`,
      {
        key: serial,
      },
    )

  return {
    async read(token) {
      if (refusedNow.has(nameOf(token))) throw refusedBefore(token)
      const marker = options.retryPin ? undefined : await options.markers.get(token)
      if (marker !== undefined && !(await hasChanged(marker, source, sourceDigest))) throw refusedBefore(token)
      reading ??= readPin(source, token.serial, options)
      return (await reading).pin
    },

    async refused(token) {
      refusedNow.add(nameOf(token))
      const { modifiedNs } = (await reading) ?? { modifiedNs: null }
      try {
        await options.markers.put({
          token,
          sourceDigest,
          modifiedNs,
          refusedAt: new Date().toISOString(),
        })
      } catch (error) {
        // the refusal itself is the error to report; that the next run will not know of it must be said as well
        if (!(error instanceof KeyferryError)) throw error
        options.warn(
          `that the PIN was refused could not be noted, so the next run would present it again: ${error.message}`,
        )
      }
    },

    async accepted(token) {
      if ((await options.markers.get(token)) !== undefined) await options.markers.remove(token)
    },
  }
}

function nameOf({ serial, label, manufacturer, libraryParameters }: PinToken): string {
  return JSON.stringify([serial, label, manufacturer, libraryParameters])
}

/** The same for every spelling of a source. */
function digestOf(source: PinSource): string {
  const canonical = source.kind === "file" ? { ...source, path: resolve(source.path) } : source
  return `sha256:${createHash("sha256").update(JSON.stringify(canonical)).digest("hex")}`
}

/** Whether the PIN may be another one than the token refused: another source, or a PIN file written since. */
async function hasChanged(marker: PinMarker, source: PinSource, sourceDigest: string): Promise<boolean> {
  if (marker.sourceDigest !== sourceDigest) return true
  if (source.kind !== "file" || marker.modifiedNs === null) return false
  try {
    return (await stat(source.path, { bigint: true })).mtimeNs.toString() !== marker.modifiedNs
  } catch {
    // reading it comes next, and says what is wrong with it
    return true
  }
}
