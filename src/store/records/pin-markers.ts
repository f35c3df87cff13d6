import { createHash, randomBytes } from "node:crypto"
import {
  newPinSalt,
  type PinMarker,
  type PinMarkers,
  type PinToken,
  pinTokenIdentity,
  type RefusedPin,
} from "../../core/token/pin-marker.js"
import { jsonFolder } from "./json-folder.js"
import { plainJson } from "./json-format.js"
import type { TextPath, Texts } from "./texts.js"

const FORMAT = plainJson<PinMarker>(async (value) => (await import("./pin-marker-schema.js")).parsePinMarker(value))

/** By keyferry 0.1.0, which noted the source instead of the PIN. */
const FORMER_FORMAT = plainJson<RefusedPin>(async (value) =>
  (await import("./pin-marker-schema.js")).parseFormerMarker(value),
)

const PRESENTED = "pin-presented"

/**
 * Markers of refused PINs as texts `pin-refused/<digest of what tells the token>.json`; beside them, in `pin-presented/`,
 * an empty text for each presentation under way, which says all it has to say by its name.
 */
export function storedPinMarkers(texts: Texts): PinMarkers {
  const folder = jsonFolder(texts, ["pin-refused"], FORMAT)
  const former = jsonFolder(texts, ["pin-refused"], FORMER_FORMAT)
  const unfinished = async (token: PinToken): Promise<readonly string[]> =>
    (await texts.names([PRESENTED])).filter((name) => name.startsWith(`${digestOf(token)}.`))

  return {
    async get(token) {
      const marker = await folder.get(`${digestOf(token)}.json`)
      const formerPins: RefusedPin[] = []
      for (const name of formerNames(token)) {
        const pin = await former.get(name)
        if (pin !== undefined) formerPins.push(pin)
      }
      if (formerPins.length === 0) return marker
      const { salt, refused } = marker ?? { salt: newPinSalt(), refused: [] }
      return { token, salt, refused: [...refused, ...formerPins] }
    },

    async put(marker) {
      await folder.put(`${digestOf(marker.token)}.json`, marker)
      for (const name of formerNames(marker.token)) await former.remove(name)
    },

    async remove(token) {
      for (const name of [`${digestOf(token)}.json`, ...formerNames(token)]) await folder.remove(name)
    },

    async presenting(token, flags) {
      const path: TextPath = [PRESENTED, `${digestOf(token)}.${flags.toString(16)}.${randomBytes(8).toString("hex")}`]
      await texts.mark(path)
      return { end: () => texts.unmark(path) }
    },

    async unfinished(token) {
      return (await unfinished(token)).map((name) => Number.parseInt(name.split(".")[1] ?? "", 16))
    },

    async forgetUnfinished(token) {
      for (const name of await unfinished(token)) await texts.unmark([PRESENTED, name])
    },
  }
}

/** By a digest, since a serial is whatever the vendor wrote, slashes included. */
const digestOf = (token: PinToken): string => hash(pinTokenIdentity(token))

/** Names that the marker of a token had: by its serial, label and manufacturer, and first of all by its serial alone. */
function formerNames({ serial, label, manufacturer, libraryParameters }: PinToken): readonly string[] {
  return [JSON.stringify([serial, label, manufacturer, libraryParameters]), serial].map((name) => `${hash(name)}.json`)
}

const hash = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 32)
