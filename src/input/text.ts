/** Encodings that are told by how a text begins (Unicode 16.0 section 23.8). */
const MARKS: readonly (readonly [fault: string, mark: readonly number[]])[] = [
  ["begins with a byte order mark (UTF-8 with BOM)", [0xef, 0xbb, 0xbf]],
  ["is UTF-16, as Windows PowerShell writes it", [0xff, 0xfe]],
  ["is UTF-16 (big endian)", [0xfe, 0xff]],
]

/** UTF-8 without a byte order mark and without a NUL; else in words what it is. */
export function utf8Text(bytes: Uint8Array): { readonly text: string } | { readonly fault: string } {
  for (const [fault, mark] of MARKS) {
    if (mark.every((byte, index) => bytes[index] === byte)) return { fault }
  }
  if (bytes.includes(0)) return { fault: "holds a NUL, so it is no UTF-8 text" }
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) }
  } catch {
    return { fault: "is not UTF-8" }
  }
}

/** The bytes after a UTF-8 byte order mark, for a format that allows one. */
export function withoutMark(bytes: Uint8Array): Uint8Array {
  const isMarked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
  return isMarked ? bytes.subarray(3) : bytes
}

/** How such a text is written. */
export const UTF_8_HINT =
  "write it as UTF-8 without a byte order mark: in PowerShell 7 `Out-File -Encoding utf8NoBOM`, elsewhere iconv"
