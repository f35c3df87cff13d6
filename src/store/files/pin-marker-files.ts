import { createHash } from "node:crypto"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { KeyferryError } from "../../core/base/error.js"
import type { PinMarker, PinMarkers, PinToken } from "../../core/token/pin-marker.js"
import { replaceFile, stateWriteError, syncFolder } from "./atomic-file.js"
import { isMissing } from "./file-error.js"
import { jsonText, readJson } from "./json-file.js"
import { makeFolder } from "./state-dir.js"

/** Markers of refused PINs as files `pin-refused/<digest of what tells the token>.json` of the state directory. */
export function pinMarkerFiles(stateDir: string): PinMarkers {
  const folder = join(stateDir, "pin-refused")
  // a serial is whatever the vendor wrote, slashes included
  const fileOf = ({ serial, label, manufacturer, libraryParameters }: PinToken): string => {
    const told = JSON.stringify([serial, label, manufacturer, libraryParameters])
    return join(folder, `${createHash("sha256").update(told).digest("hex").slice(0, 32)}.json`)
  }

  return {
    async get(token) {
      const path = fileOf(token)
      const value = await readJson(path)
      if (value === undefined) return undefined
      if (!isMarker(value)) throw new KeyferryError("ERR_STATE_INVALID", `${path} is not the marker of a refused PIN`)
      return value
    },

    async put(marker) {
      await makeFolder(folder)
      await replaceFile(fileOf(marker.token), jsonText(marker))
    },

    async remove(token) {
      const path = fileOf(token)
      try {
        await rm(path)
        await syncFolder(folder)
      } catch (error) {
        if (!isMissing(error)) throw stateWriteError(path, error)
      }
    },
  }
}

function isMarker(value: unknown): value is PinMarker {
  const marker = value as Partial<PinMarker> | null
  return (
    typeof marker?.token?.serial === "string" &&
    typeof marker.sourceDigest === "string" &&
    (marker.modifiedNs === null || typeof marker.modifiedNs === "string") &&
    typeof marker.refusedAt === "string"
  )
}
