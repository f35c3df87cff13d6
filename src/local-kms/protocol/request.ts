import { KmsError } from "./error.js"

/** Reads one member of a request: throws SerializationException for a wrong type, adds what breaks a limit to `problems`. */
export interface Field<T, Required extends boolean = boolean> {
  readonly required: Required
  readonly read: (value: unknown, at: string, problems: string[]) => T
}

export type Fields = Readonly<Record<string, Field<unknown>>>

export type RequestOf<F extends Fields> = {
  readonly [Name in keyof F]: F[Name] extends Field<infer T, infer Required>
    ? Required extends true
      ? T
      : T | undefined
    : never
}

type Optional<T> = Field<T, false>

interface Length {
  readonly min?: number
  readonly max: number
}

const serialization = (at: string, wanted: string) =>
  new KmsError("SerializationException", `${at} cannot be converted to ${wanted}`)

const failed = (at: string, constraint: string, value?: string | number) =>
  `Value ${value === undefined ? "" : `'${value}' `}at '${at}' failed to satisfy constraint: Member must ${constraint}`

function checkLength(size: number, { min = 1, max }: Length, at: string, problems: string[], value?: string): void {
  if (size < min) problems.push(failed(at, `have length greater than or equal to ${min}`, value))
  if (size > max) problems.push(failed(at, `have length less than or equal to ${max}`, value))
}

function asText(value: unknown, at: string): string {
  if (typeof value !== "string") throw serialization(at, "a String")
  return value
}

function asObject(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw serialization(at, "a Structure")
  return value as Record<string, unknown>
}

const optional = <T>(read: Field<T>["read"]): Optional<T> => ({ required: false, read })

export const required = <T>(field: Field<T>): Field<T, true> => ({ ...field, required: true })

export const text = (limits: Length & { readonly pattern?: RegExp }): Optional<string> =>
  optional((value, at, problems) => {
    const read = asText(value, at)
    checkLength(read.length, limits, at, problems, read)
    if (limits.pattern !== undefined && !limits.pattern.test(read)) {
      problems.push(failed(at, `satisfy regular expression pattern: ${limits.pattern.source}`, read))
    }
    return read
  })

export const oneOf = <const T extends string>(values: readonly T[]): Optional<T> =>
  optional((value, at, problems) => {
    const read = asText(value, at)
    if (!(values as readonly string[]).includes(read)) {
      problems.push(failed(at, `satisfy enum value set: [${values.join(", ")}]`, read))
    }
    return read as T
  })

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Base64 on the wire; the limits count bytes. */
export const blob = (limits: Length): Optional<Buffer> =>
  optional((value, at, problems) => {
    const read = asText(value, at)
    if (!BASE64.test(read)) throw serialization(at, "a Blob")
    const bytes = Buffer.from(read, "base64")
    checkLength(bytes.length, limits, at, problems)
    return bytes
  })

export const whole = (min: number, max: number): Optional<number> =>
  optional((value, at, problems) => {
    if (typeof value !== "number" || !Number.isSafeInteger(value)) throw serialization(at, "an Integer")
    if (value < min) problems.push(failed(at, `have value greater than or equal to ${min}`, value))
    if (value > max) problems.push(failed(at, `have value less than or equal to ${max}`, value))
    return value
  })

export const flag = (): Optional<boolean> =>
  optional((value, at) => {
    if (typeof value !== "boolean") throw serialization(at, "a Boolean")
    return value
  })

/** Epoch seconds on the wire, with a fraction or without; milliseconds here. */
export const instant = (): Optional<number> =>
  optional((value, at) => {
    if (typeof value !== "number" || !Number.isFinite(value)) throw serialization(at, "a Timestamp")
    return Math.round(value * 1000)
  })

export const listOf = <T>(item: Field<T>, limits: Length): Optional<readonly T[]> =>
  optional((value, at, problems) => {
    if (!Array.isArray(value)) throw serialization(at, "a List")
    checkLength(value.length, limits, at, problems)
    return value.map((entry: unknown, index) => item.read(entry, `${at}.${index + 1}.member`, problems))
  })

/** A map of strings to strings. */
export const textMap = (): Optional<Readonly<Record<string, string>>> =>
  optional((value, at) => {
    const entries = Object.entries(asObject(value, at))
    return Object.fromEntries(entries.map(([name, entry]) => [name, asText(entry, `${at}.${name}`)]))
  })

export const struct = <const F extends Fields>(fields: F): Optional<RequestOf<F>> =>
  optional((value, at, problems) => readMembers(fields, asObject(value, at), `${at}.`, problems))

const lowerFirst = (name: string) => name.charAt(0).toLowerCase() + name.slice(1)

function readMembers<F extends Fields>(
  fields: F,
  from: Record<string, unknown>,
  prefix: string,
  problems: string[],
): RequestOf<F> {
  const unknown = Object.keys(from).find((name) => !Object.hasOwn(fields, name))
  if (unknown !== undefined) throw new KmsError("SerializationException", `Unknown member ${prefix}${unknown}`)
  const read = Object.entries(fields).map(([name, field]) => {
    const at = prefix + lowerFirst(name)
    const value = from[name] ?? undefined
    if (value !== undefined) return [name, field.read(value, at, problems)] as const
    if (field.required) problems.push(`Value null at '${at}' failed to satisfy constraint: Member must not be null`)
    return [name, undefined] as const
  })
  return Object.fromEntries(read) as RequestOf<F>
}

/** Reads a whole request strictly; throws SerializationException or ValidationException as KMS words them. */
export function readRequest<F extends Fields>(fields: F, body: unknown): RequestOf<F> {
  const problems: string[] = []
  const request = readMembers(fields, asObject(body, "request"), "", problems)
  if (problems.length > 0) {
    const count = `${problems.length} validation error${problems.length === 1 ? "" : "s"} detected: `
    throw new KmsError("ValidationException", count + problems.join("; "))
  }
  return request
}
