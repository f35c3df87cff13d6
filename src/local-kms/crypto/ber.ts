/** One value of BER (X.690); constructed values have children instead of bytes. */
export interface Ber {
  /** The identifier octet without the constructed bit. */
  readonly tag: number
  readonly bytes: Buffer
  readonly children: readonly Ber[] | undefined
}

export const TAG = {
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  NULL: 0x05,
  OID: 0x06,
  SEQUENCE: 0x10,
  CONTEXT_0: 0x80,
  CONTEXT_1: 0x81,
} as const

const CONSTRUCTED = 0x20
const INDEFINITE = 0x80
const MAX_DEPTH = 16

interface Step {
  readonly value: Ber
  readonly next: number
}

/** Reads one BER value that fills `bytes` to the last byte; throws an Error if it is malformed or something follows. */
export function readBer(bytes: Buffer): Ber {
  const { value, next } = readAt(bytes, 0, 0)
  if (next !== bytes.length) throw new Error(`${bytes.length - next} bytes after the value`)
  return value
}

function byteAt(bytes: Buffer, offset: number): number {
  const byte = bytes[offset]
  if (byte === undefined) throw new Error("value ends early")
  return byte
}

function readAt(bytes: Buffer, offset: number, depth: number): Step {
  if (depth > MAX_DEPTH) throw new Error("nested too deep")
  const identifier = byteAt(bytes, offset)
  // tag numbers of several bytes occur in no private key
  if ((identifier & 0x1f) === 0x1f) throw new Error("long tag")
  const constructed = (identifier & CONSTRUCTED) !== 0
  const tag = identifier & ~CONSTRUCTED
  const lengthOctet = byteAt(bytes, offset + 1)
  if (lengthOctet === INDEFINITE) {
    if (!constructed) throw new Error("indefinite length of a primitive value")
    const { children, next } = readChildren(bytes, offset + 2, undefined, depth)
    return { value: { tag, bytes: Buffer.alloc(0), children }, next }
  }
  const longBytes = lengthOctet > INDEFINITE ? lengthOctet - INDEFINITE : 0
  if (longBytes > 4) throw new Error("length of more than four bytes")
  let length = longBytes === 0 ? lengthOctet : 0
  for (let i = 0; i < longBytes; i++) length = length * 256 + byteAt(bytes, offset + 2 + i)
  const start = offset + 2 + longBytes
  const end = start + length
  if (end > bytes.length) throw new Error("value ends early")
  if (!constructed) return { value: { tag, bytes: bytes.subarray(start, end), children: undefined }, next: end }
  const { children } = readChildren(bytes.subarray(0, end), start, end, depth)
  return { value: { tag, bytes: Buffer.alloc(0), children }, next: end }
}

/** Reads values up to `end`, or up to the two zero bytes that close an indefinite length. */
function readChildren(bytes: Buffer, start: number, end: number | undefined, depth: number) {
  const children: Ber[] = []
  let offset = start
  for (;;) {
    if (offset === end) return { children, next: offset }
    if (end === undefined && byteAt(bytes, offset) === 0 && byteAt(bytes, offset + 1) === 0)
      return { children, next: offset + 2 }
    const { value, next } = readAt(bytes, offset, depth + 1)
    children.push(value)
    offset = next
  }
}

/** The bytes of an octet string, which BER may cut into pieces. */
export function octets(value: Ber): Buffer {
  if (value.children === undefined) return value.bytes
  return Buffer.concat(value.children.map((piece) => octets(expectTag(piece, TAG.OCTET_STRING))))
}

export function expectTag(value: Ber | undefined, tag: number): Ber {
  if (value?.tag !== tag) throw new Error(`expected tag ${tag}, found ${value?.tag ?? "none"}`)
  return value
}

/** The members of a sequence. */
export function members(value: Ber | undefined): readonly Ber[] {
  const { children } = expectTag(value, TAG.SEQUENCE)
  if (children === undefined) throw new Error("a sequence must be constructed")
  return children
}

/** A non-negative integer; throws on padding, which BER forbids as well (X.690 section 8.3.2). */
export function integer(value: Ber | undefined): bigint {
  const { bytes, children } = expectTag(value, TAG.INTEGER)
  const [firstByte, secondByte] = bytes
  if (children !== undefined || firstByte === undefined || firstByte >= 0x80)
    throw new Error("not a non-negative integer")
  if (firstByte === 0 && secondByte !== undefined && secondByte < 0x80) throw new Error("padded integer")
  return BigInt(`0x${bytes.toString("hex")}`)
}

/** One DER value. */
export function der(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content)
  const constructed = tag === TAG.SEQUENCE ? CONSTRUCTED : 0
  return Buffer.concat([Buffer.from([tag | constructed]), derLength(body.length), body])
}

function derLength(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const digits = length.toString(16)
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex")
  return Buffer.concat([Buffer.from([INDEFINITE + bytes.length]), bytes])
}

export function derInteger(value: bigint): Buffer {
  const digits = value.toString(16)
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex")
  return der(TAG.INTEGER, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes)
}

/** The value in DER. */
export function toDer(value: Ber): Buffer {
  if (value.tag === TAG.OCTET_STRING) return der(value.tag, octets(value))
  if (value.children === undefined) return der(value.tag, value.bytes)
  const body = Buffer.concat(value.children.map(toDer))
  return Buffer.concat([Buffer.from([value.tag | CONSTRUCTED]), derLength(body.length), body])
}
