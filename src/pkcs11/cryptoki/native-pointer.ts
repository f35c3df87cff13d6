/**
 * Native memory with an address: nested PKCS #11 parameters hold pointers, which pkcs11js cannot make (it copies flat
 * buffers only). koffi gives the addresses and does nothing else; it is loaded when the first one is made.
 */

/** Memory that lives until it is disposed: longer than every call that is given its address. */
export interface NativeMemory extends Disposable {
  readonly address: bigint
}

export async function nativeMemory(bytes: Uint8Array): Promise<NativeMemory> {
  const { default: koffi } = await import("koffi")
  const type = koffi.array("uint8_t", bytes.length)
  const pointer: unknown = koffi.alloc("uint8_t", bytes.length)
  koffi.encode(pointer, type, [...bytes])
  return { address: koffi.address(pointer), [Symbol.dispose]: () => koffi.free(pointer) }
}

const ULONG = 8

/** CK_ULONG or pointer values in a row, as a structure of them lies in memory (LP64). */
export function words(...values: readonly (number | bigint)[]): Buffer {
  const bytes = Buffer.alloc(values.length * ULONG)
  values.forEach((value, index) => bytes.writeBigUInt64LE(BigInt(value), index * ULONG))
  return bytes
}

/** CK_ATTRIBUTE[] of CK_BBOOL values, for CKA_UNWRAP_TEMPLATE: the bytes, and the memory that they point to. */
export async function booleanAttributes(
  attributes: readonly (readonly [type: number, value: boolean])[],
): Promise<{ readonly bytes: Buffer } & Disposable> {
  const memory = await nativeMemory(Uint8Array.from(attributes.map(([, value]) => Number(value))))
  const bytes = Buffer.concat(attributes.map(([type], index) => words(type, memory.address + BigInt(index), 1)))
  return { bytes, [Symbol.dispose]: () => memory[Symbol.dispose]() }
}
