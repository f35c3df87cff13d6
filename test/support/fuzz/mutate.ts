import type { Random } from "./random.js"

/** What files suffer on their way, and what somebody may do to them on purpose: in bytes, in text, in JSON's structure. */

/** More than the limit of most files. */
const MUCH = 1_200_000

type Bytes = (bytes: Buffer, random: Random) => Buffer

const cut = (bytes: Buffer, at: number, length: number, between: Uint8Array = Buffer.alloc(0)): Buffer =>
  Buffer.concat([bytes.subarray(0, at), between, bytes.subarray(at + length)])

const BYTES: Readonly<Record<string, Bytes>> = {
  "a flipped bit"(bytes, random) {
    const changed = Buffer.from(bytes)
    const at = random.below(Math.max(bytes.length, 1))
    if (at < changed.length) changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8))
    return changed
  },
  "another byte"(bytes, random) {
    return cut(bytes, random.below(bytes.length + 1), 1, Buffer.of(random.below(256)))
  },
  "cut off": (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)),
  "a beginning that is missing": (bytes, random) => bytes.subarray(random.below(bytes.length + 1)),
  "a hole": (bytes, random) => cut(bytes, random.below(bytes.length + 1), 1 + random.below(64)),
  "something more"(bytes, random) {
    const extra = Buffer.from(Array.from({ length: 1 + random.below(32) }, () => random.below(256)))
    return cut(bytes, random.below(bytes.length + 1), 0, extra)
  },
  "a part twice"(bytes, random) {
    const at = random.below(bytes.length + 1)
    return cut(bytes, at, 0, bytes.subarray(at, at + 1 + random.below(256)))
  },
  twice: (bytes) => Buffer.concat([bytes, bytes]),
  nothing: () => Buffer.alloc(0),
  zeroes: (bytes) => Buffer.alloc(bytes.length),
  "a NUL": (bytes, random) => cut(bytes, random.below(bytes.length + 1), 0, Buffer.of(0)),
  "a byte order mark": (bytes) => Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), bytes]),
  "UTF-16": (bytes) => Buffer.from(`\ufeff${bytes.toString("latin1")}`, "utf16le"),
  CRLF: (bytes) => Buffer.from(bytes.toString("latin1").replaceAll("\n", "\r\n"), "latin1"),
  "base64 of it": (bytes) => Buffer.from(`${bytes.toString("base64")}\n`),
  "Latin-1": (bytes, random) => cut(bytes, random.below(bytes.length + 1), 0, Buffer.of(0xe4)),
  "an escape sequence": (bytes, random) =>
    cut(bytes, random.below(bytes.length + 1), 0, Buffer.from("\u001b[2J\u202e")),
  blanks: (bytes, random) => cut(bytes, random.below(bytes.length + 1), 0, Buffer.from(" \n\t ")),
  "much more": (bytes) => Buffer.concat([bytes, Buffer.alloc(MUCH, bytes.length === 0 ? 0 : bytes.subarray(-64))]),
  "a number of another size"(bytes, random) {
    const text = bytes.toString("latin1")
    const numbers = [...text.matchAll(/\d+/g)]
    if (numbers.length === 0) return bytes
    const { 0: digits, index } = random.pick(numbers)
    const other = random.pick(["0", "-1", "1e999", "99999999999999999999", "0x10", "1.5", "00", `${digits}0`])
    return Buffer.from(text.slice(0, index) + other + text.slice(index + digits.length), "latin1")
  },
  "lines in another order"(bytes, random) {
    const lines = bytes.toString("latin1").split("\n")
    const [a, b] = [random.below(lines.length), random.below(lines.length)]
    return Buffer.from(
      lines
        .with(a, lines[b] ?? "")
        .with(b, lines[a] ?? "")
        .join("\n"),
      "latin1",
    )
  },
}

/** In place of a value of JSON. */
const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  "",
  " ",
  "\u0000",
  "\u001b[31m",
  "__proto__",
  "../../etc/passwd",
  "2026-13-45T99:99:99Z",
  "sha256:00",
  "x".repeat(100_000),
  [],
  {},
  [[[[[[[[]]]]]]]],
  { toString: 1, __proto__: null },
]

type Json = (root: unknown, random: Random) => unknown

interface Place {
  readonly holder: Record<string, unknown>
  readonly key: string
}

/** Every value of the tree with where it stands, however deep that is. */
function placesOf(root: unknown): readonly Place[] {
  const places: Place[] = []
  const open: unknown[] = [root]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (typeof node !== "object" || node === null) continue
    const holder = node as Record<string, unknown>
    for (const key of Object.keys(holder)) {
      places.push({ holder, key })
      open.push(holder[key] ?? null)
    }
  }
  return places
}

function atPlace(root: unknown, random: Random, change: (place: Place) => void): unknown {
  const places = placesOf(root)
  if (places.length > 0) change(random.pick(places))
  return root
}

const JSON_CHANGES: Readonly<Record<string, Json>> = {
  "another value": (root, random) => atPlace(root, random, ({ holder, key }) => (holder[key] = random.pick(VALUES))),
  "a value of another place"(root, random) {
    const other = placesOf(structuredClone(root))
    return atPlace(root, random, ({ holder, key }) => {
      const { holder: from, key: name } = random.pick(other)
      holder[key] = from[name]
    })
  },
  "a field that is missing": (root, random) =>
    atPlace(root, random, ({ holder, key }) => Reflect.deleteProperty(holder, key)),
  "a field more": (root, random) =>
    atPlace(root, random, ({ holder }) => {
      Object.defineProperty(holder, random.pick(["extra", "__proto__", "constructor", "version", ""]), {
        value: random.pick(VALUES),
        enumerable: true,
        configurable: true,
        writable: true,
      })
    }),
  "a string that is changed": (root, random) =>
    atPlace(root, random, ({ holder, key }) => {
      const text = String(holder[key])
      const at = random.below(text.length + 1)
      holder[key] =
        text.slice(0, at) + random.pick(["", "x", " ", "\n", "é", "\u202e", "="]) + text.slice(at + random.below(3))
    }),
  "a list of it": (root, random) => atPlace(root, random, ({ holder, key }) => (holder[key] = [holder[key]])),
  "a value in place of all": (_root, random) => random.pick(VALUES),
  deep: () => {
    let deep: unknown = 1
    for (let level = 0; level < 2000; level += 1) deep = [deep]
    return deep
  },
}

/** A mutated file. */
export interface Mutant {
  readonly what: string
  readonly bytes: Buffer
}

/** One change, or two: of JSON half of the time by its structure. */
export function mutate(bytes: Uint8Array, random: Random): Mutant {
  const first = mutateOnce(Buffer.from(bytes), random)
  if (random.below(8) > 0) return first
  const second = mutateOnce(first.bytes, random)
  return { what: `${first.what}, ${second.what}`, bytes: second.bytes }
}

function mutateOnce(bytes: Buffer, random: Random): Mutant {
  const root = jsonOf(bytes)
  if (root !== undefined && random.below(2) === 0) {
    const what = random.pick(Object.keys(JSON_CHANGES))
    const changed: unknown = JSON_CHANGES[what]?.(root, random)
    return { what, bytes: Buffer.from(`${JSON.stringify(changed ?? null, null, 2)}\n`) }
  }
  const what = random.pick(Object.keys(BYTES))
  return { what, bytes: BYTES[what]?.(bytes, random) ?? bytes }
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString()) as unknown
  } catch {
    return undefined
  }
}
