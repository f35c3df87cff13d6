import { isName } from "../../core/key/source-key.js"
import type { InventoryEntry } from "../../core/records/inventory.js"
import type { SealedMaterial } from "../../core/records/sealed-material.js"
import type { TextFormat } from "../records/json-folder.js"
import { digestedJson, plainJson } from "../records/json-format.js"
import { keptLogOf } from "../records/kept-log.js"

/** What a state holds that must not be lost: what is exported, and what an import takes. */
export interface StatePart {
  /** For people and JSON. */
  readonly kind: "inventory" | "vault" | "custodyKeys" | "toBeLocked" | "pinMarkers" | "operations" | "mergedLogs"
  /** Of a path in the state, with slashes; its groups are checked by `names`. */
  readonly path: RegExp
  /** What is wrong with the text of such a file; null where nothing is. */
  fault(text: string, path: string): Promise<string | null>
}

const NAME = "([A-Za-z0-9][A-Za-z0-9._-]{0,62})"

export const STATE_PARTS: readonly StatePart[] = [
  {
    kind: "inventory",
    path: new RegExp(`^inventory/${NAME}/${NAME}\\.json$`),
    fault: faultOf(
      plainJson<InventoryEntry>(async (content) =>
        (await import("../records/inventory-schema.js")).parseInventory(content),
      ),
      ({ target, name }) => `inventory/${target}/${name}.json`,
    ),
  },
  {
    kind: "vault",
    path: new RegExp(`^vault/${NAME}/${NAME}/(?:0|[1-9]\\d*)-[0-9a-f]+\\.json$`),
    fault: faultOf(
      digestedJson<SealedMaterial>(async (content) =>
        (await import("../records/sealed-schema.js")).parseSealed(content),
      ),
      ({ owner, name, generation, id }) => `vault/${owner}/${name}/${generation}-${id}.json`,
    ),
  },
  {
    kind: "custodyKeys",
    path: /^custody-keys\/[0-9a-f]+\.json$/,
    fault: faultOf(
      digestedJson(async (content) => (await import("../records/sealed-schema.js")).parseCustodyKeyRecord(content)),
    ),
  },
  {
    kind: "toBeLocked",
    path: /^to-be-locked\/[0-9a-f]+\.json$/,
    fault: faultOf(plainJson((content) => Promise.resolve({ content }))),
  },
  {
    kind: "pinMarkers",
    path: /^pin-refused\/[0-9a-f]{32}\.json$/,
    fault: faultOf(
      plainJson<unknown>(async (content) => {
        const { parseFormerMarker, parsePinMarker } = await import("../records/pin-marker-schema.js")
        const marker = parsePinMarker(content)
        return "fault" in marker ? parseFormerMarker(content) : marker
      }),
    ),
  },
  {
    kind: "operations",
    path: /^operations\/(?:rotate|replace|reseal)-[0-9a-f-]+\.json$/,
    fault: faultOf(
      digestedJson(async (content) => (await import("../records/operation-schema.js")).parseOperation(content)),
    ),
  },
  {
    kind: "mergedLogs",
    path: /^merged-logs\/[0-9a-f]{64}\.jsonl$/,
    // a log that was broken where it came from is evidence all the same
    fault: (text, path) =>
      Promise.resolve(keptLogOf(text)?.path === path.split("/")[1] ? null : "its end is not that of its name"),
  },
]

/** Folders and files of a state that are not exported: what another run makes anew, and notes for people. */
export const NOT_EXPORTED: ReadonlySet<string> = new Set([
  ...[
    "state.json",
    "lock",
    "self-test",
    "pin-presented",
    "before-version-2",
    "last-export.json",
    "importing.json",
    "agent",
  ],
])

/** The part that a path belongs to; undefined for one that no state has, such as one that leads out of it. */
export function partOf(path: string): StatePart | undefined {
  return STATE_PARTS.find((part) => {
    const [, ...names] = part.path.exec(path) ?? []
    return part.path.test(path) && names.every(isName)
  })
}

function faultOf<T>(format: Pick<TextFormat<T>, "parse">, pathOf?: (content: T) => string): StatePart["fault"] {
  return async (text, path) => {
    const parsed = await format.parse(text)
    if ("fault" in parsed) return parsed.fault
    return pathOf === undefined || pathOf(parsed.content) === path
      ? null
      : `it is the file of ${pathOf(parsed.content)}`
  }
}
