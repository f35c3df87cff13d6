import { createHash } from "node:crypto"
import type { PinMarker, PinMarkers, PinToken } from "../../core/token/pin-marker.js"
import { jsonFolder } from "./json-folder.js"
import { plainJson } from "./json-format.js"

const FORMAT = plainJson<PinMarker>(async (value) => (await import("./pin-marker-schema.js")).parsePinMarker(value))

/** Markers of refused PINs as files `pin-refused/<digest of what tells the token>.json` of the state directory. */
export function pinMarkerFiles(stateDir: string): PinMarkers {
  const folder = jsonFolder(stateDir, ["pin-refused"], FORMAT)
  return {
    get: (token) => folder.get(fileOf(token)),
    put: (marker) => folder.put(fileOf(marker.token), marker),
    remove: (token) => folder.remove(fileOf(token)),
  }
}

/** By a digest, since a serial is whatever the vendor wrote, slashes included. */
function fileOf({ serial, label, manufacturer, libraryParameters }: PinToken): string {
  const identity = JSON.stringify([serial, label, manufacturer, libraryParameters])
  return `${createHash("sha256").update(identity).digest("hex").slice(0, 32)}.json`
}
