/**
 * Reads what OpenSC's pkcs11-spy recorded (format of OpenSC 0.23). It holds the PIN in clear, so nothing here prints or
 * keeps the text: calls, attribute names and handles are all that is taken from it.
 */

/** One attribute of a template. */
export interface RecordedAttribute {
  /** `CKA_…`, or what the spy writes where it has no name. */
  readonly name: string
  /** `True`, `False`, a name such as `CKO_SECRET_KEY`; null where it is bytes, or only asked for. */
  readonly word: string | null
  /** Value of byte attributes; empty where there is none. */
  readonly bytes: Buffer
}

/** One call of a client. */
export interface RecordedCall {
  readonly number: number
  readonly name: string
  /** By the spy's names, `pTemplate`, `pPublicKeyTemplate`, `pPrivateKeyTemplate`. */
  readonly templates: Readonly<Record<string, readonly RecordedAttribute[]>>
  /** What came back in `pTemplate`. */
  readonly answered: readonly RecordedAttribute[]
  /** Bytes that went in or came out beside templates, such as `pWrappedKey`. */
  readonly data: Readonly<Record<string, Buffer>>
  /** Scalars that went in, such as `hKey` or `pMechanism->type`. */
  readonly given: Readonly<Record<string, string>>
  /** Scalars that came out, such as `phObject`. */
  readonly got: Readonly<Record<string, string>>
  /** `CKR_…`; null where the recording has no answer, as when two threads wrote at one time. */
  readonly result: string | null
}

/** The calls of each process that wrote to the recording, in order. */
export function readRecording(text: string): readonly (readonly RecordedCall[])[] {
  const [before = "", ...processes] = text.split(/^\*+ OpenSC PKCS#11 spy \*+$/m)
  if (before.trim() !== "" || processes.length === 0) throw new Error("this is no recording of pkcs11-spy")
  return processes.map((part) => {
    const [, ...blocks] = part.split(/^(?=\d+: C_\w+$)/m)
    return blocks.map(readCall)
  })
}

function readCall(block: string): RecordedCall {
  const lines = block.split("\n")
  const [, number = "", name = ""] = /^(\d+): (C_\w+)$/.exec(lines[0] ?? "") ?? []
  const templates: Record<string, RecordedAttribute[]> = {}
  const scalars = { in: {} as Record<string, string>, out: {} as Record<string, string> }
  const answered: RecordedAttribute[] = []
  const data: Record<string, Buffer> = {}
  let open: RecordedAttribute[] | undefined
  let dump: string | undefined
  let result: string | null = null
  for (const line of lines.slice(2)) {
    const scalar = /^\[(in|out)\] \*?([^ =]+?)\s*= (\S+)/.exec(line)
    const bytes = /^\[(?:in|out)\] (\w+)\[[^\]]*\] [0-9a-f]{16} \/ \d+$/.exec(line)
    const template = /^\[(in|out)\] (\w*Template)\[\d+\]:/.exec(line)
    const attribute = /^ {4}(CKA_\w+)\s+(.*?)\s*$/.exec(line) ?? /^ {4}(Unknown \S*?) +(.*?)\s*$/.exec(line)
    const returned = /^Returned: +-?\d+ (\S+)/.exec(line)
    if (bytes) {
      open = undefined
      dump = bytes[1] ?? ""
      data[dump] = Buffer.alloc(0)
    } else if (template) {
      dump = undefined
      open = template[1] === "in" ? [] : answered
      if (template[1] === "in") templates[template[2] ?? ""] = open
    } else if (scalar) {
      dump = undefined
      open = undefined
      const [, direction = "in", key = "", value = ""] = scalar
      scalars[direction as "in" | "out"][key] = value
    } else if (attribute && open) {
      const [, attributeName = "", value = ""] = attribute
      const pointer = /^[0-9a-f]{16} \/ \d+$/.test(value)
      open.push({ name: attributeName, word: pointer ? null : value, bytes: Buffer.alloc(0) })
    } else if (returned) {
      result = returned[1] ?? null
    } else if (dump !== undefined) {
      data[dump] = Buffer.concat([data[dump] ?? Buffer.alloc(0), dumped(line)])
    } else if (open?.length) {
      const last = open[open.length - 1]!
      open[open.length - 1] = { ...last, bytes: Buffer.concat([last.bytes, dumped(line)]) }
    }
  }
  return { number: Number(number), name, templates, answered, data, given: scalars.in, got: scalars.out, result }
}

/** Bytes of one line of a dump: with an offset before and characters behind, or in words with the characters below. */
function dumped(line: string): Buffer {
  const withOffset = /^ {4}[0-9A-F]{8} {2}((?:[0-9A-F]{2} )+)/.exec(line)
  const inWords = /^ {4}((?:[0-9A-F]{2}){1,4}(?: (?:[0-9A-F]{2}){1,4})*)$/.exec(line)
  return Buffer.from((withOffset ?? inWords)?.[1]?.replaceAll(" ", "") ?? "", "hex")
}
