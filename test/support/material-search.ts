/** Where byte strings stand in a dump of a database, and in which form. */
export interface FoundMaterial {
  readonly material: Uint8Array
  readonly form: string
  /** Of a bytea's decoded content, or of the dump's own text. */
  readonly within: "text" | "bytea"
}

/** As pg_dump writes a bytea: in a line of COPY. */
const BYTEA = /\\\\x([0-9a-f]*)/g

/**
 * Looks for byte strings in the text of a dump and in each bytea of it, decoded: raw, in hex, in base64 at whatever offset,
 * and as a list of numbers.
 *
 * @param materials of at least 8 bytes each: a shorter one stands anywhere by chance
 */
export function searchDump(dump: string, materials: readonly Uint8Array[]): readonly FoundMaterial[] {
  const short = materials.find(({ length }) => length < 8)
  if (short !== undefined) throw new Error(`too short to be looked for: ${short.length} bytes`)
  const byteas = [...dump.matchAll(BYTEA)].map(([, hex = ""]) => Buffer.from(hex, "hex"))
  return materials.flatMap((material) => [
    ...formsIn(Buffer.from(dump, "utf8"), material).map((form) => ({ material, form, within: "text" as const })),
    ...byteas.flatMap((bytes) =>
      formsIn(bytes, material).map((form) => ({ material, form, within: "bytea" as const })),
    ),
  ])
}

function formsIn(bytes: Buffer, material: Uint8Array): readonly string[] {
  const text = bytes.toString("latin1")
  const lower = text.toLowerCase()
  const standard = text.replaceAll("-", "+").replaceAll("_", "/")
  const wanted = Buffer.from(material)
  const forms: readonly (readonly [form: string, isThere: boolean])[] = [
    ["raw", bytes.includes(wanted)],
    ["hex", lower.includes(wanted.toString("hex"))],
    ["base64", [0, 1, 2].some((offset) => standard.includes(base64At(wanted, offset)))],
    ["numbers", text.replace(/\s/g, "").includes([...wanted].join(","))],
  ]
  return forms.flatMap(([form, isThere]) => (isThere ? [form] : []))
}

/** The characters that the bytes alone decide where so many bytes of something else (0 to 2) come before them. */
function base64At(bytes: Buffer, offset: number): string {
  const text = Buffer.concat([Buffer.alloc(offset), bytes])
    .toString("base64")
    .replace(/=+$/, "")
  // a character that holds bits of what comes before or after is left out
  const last = ((offset + bytes.length) * 8) % 6 === 0 ? text.length : text.length - 1
  return text.slice(Math.ceil((offset * 8) / 6), last)
}
