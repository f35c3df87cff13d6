import { KmsError } from "./error.js"

/** Where a value stands in a request, such as `tags.1.member.tagKey`, and what was found to break a limit so far. */
interface Place {
  readonly path: string
  readonly problems: string[]
}

/** Reads one member of a request: throws SerializationException for a wrong type, adds what breaks a limit to `problems`. */
export interface Field<T, Required extends boolean = boolean> {
  readonly required: Required
  readonly read: (value: unknown, place: Place) => T
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

const serialization = ({ path }: Place, type: string) =>
  new KmsError("SerializationException", `${path} cannot be converted to ${type}`)

const failed = ({ path }: Place, constraint: string, value?: string | number) =>
  `Value ${value === undefined ? "" : `'${value}' `}at '${path}' failed to satisfy constraint: Member must ${constraint}`

/** A text is shown where its length is wrong; bytes and lists are not. */
function checkLength(member: string | { readonly length: number }, { min = 1, max }: Length, place: Place): void {
  const shown = typeof member === "string" ? member : undefined
  if (member.length < min) place.problems.push(failed(place, `have length greater than or equal to ${min}`, shown))
  if (member.length > max) place.problems.push(failed(place, `have length less than or equal to ${max}`, shown))
}

function asText(value: unknown, place: Place): string {
  if (typeof value !== "string") throw serialization(place, "a String")
  return value
}

function asObject(value: unknown, place: Place): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw serialization(place, "a Structure")
  return value as Record<string, unknown>
}

const optional = <T>(read: Field<T>["read"]): Optional<T> => ({ required: false, read })

export const required = <T>(field: Field<T>): Field<T, true> => ({ ...field, required: true })

export const text = (limits: Length & { readonly pattern?: RegExp }): Optional<string> =>
  optional((value, place) => {
    const read = asText(value, place)
    checkLength(read, limits, place)
    if (limits.pattern !== undefined && !limits.pattern.test(read)) {
      place.problems.push(failed(place, `satisfy regular expression pattern: ${limits.pattern.source}`, read))
    }
    return read
  })

export const oneOf = <const T extends string>(values: readonly T[]): Optional<T> =>
  optional((value, place) => {
    const read = asText(value, place)
    if (!(values as readonly string[]).includes(read)) {
      place.problems.push(failed(place, `satisfy enum value set: [${values.join(", ")}]`, read))
    }
    return read as T
  })

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Base64 on the wire; the limits count bytes. */
export const blob = (limits: Length): Optional<Buffer> =>
  optional((value, place) => {
    const read = asText(value, place)
    if (!BASE64.test(read)) throw serialization(place, "a Blob")
    const bytes = Buffer.from(read, "base64")
    checkLength(bytes, limits, place)
    return bytes
  })

export const wholeNumber = (min: number, max: number): Optional<number> =>
  optional((value, place) => {
    if (typeof value !== "number" || !Number.isSafeInteger(value)) throw serialization(place, "an Integer")
    if (value < min) place.problems.push(failed(place, `have value greater than or equal to ${min}`, value))
    if (value > max) place.problems.push(failed(place, `have value less than or equal to ${max}`, value))
    return value
  })

export const flag = (): Optional<boolean> =>
  optional((value, place) => {
    if (typeof value !== "boolean") throw serialization(place, "a Boolean")
    return value
  })

/** Epoch seconds on the wire, with a fraction or without; milliseconds here. */
export const instant = (): Optional<number> =>
  optional((value, place) => {
    if (typeof value !== "number" || !Number.isFinite(value)) throw serialization(place, "a Timestamp")
    return Math.round(value * 1000)
  })

export const listOf = <T>(item: Field<T>, limits: Length): Optional<readonly T[]> =>
  optional((value, place) => {
    if (!Array.isArray(value)) throw serialization(place, "a List")
    checkLength(value, limits, place)
    return value.map((entry: unknown, index) =>
      item.read(entry, { ...place, path: `${place.path}.${index + 1}.member` }),
    )
  })

/** A map of strings to strings. */
export const textMap = (): Optional<Readonly<Record<string, string>>> =>
  optional((value, place) => {
    const entries = Object.entries(asObject(value, place))
    return Object.fromEntries(
      entries.map(([name, entry]) => [name, asText(entry, { ...place, path: `${place.path}.${name}` })]),
    )
  })

export const struct = <const F extends Fields>(fields: F): Optional<RequestOf<F>> =>
  optional((value, place) => readMembers(fields, asObject(value, place), { ...place, path: `${place.path}.` }))

const lowerFirst = (name: string) => name.charAt(0).toLowerCase() + name.slice(1)

/** `place.path` is what the members' names follow: empty, or with a dot at its end. */
function readMembers<F extends Fields>(fields: F, members: Record<string, unknown>, place: Place): RequestOf<F> {
  const unknown = Object.keys(members).find((name) => !Object.hasOwn(fields, name))
  if (unknown !== undefined) throw new KmsError("SerializationException", `Unknown member ${place.path}${unknown}`)
  const entries = Object.entries(fields).map(([name, field]) => {
    const memberPlace = { ...place, path: place.path + lowerFirst(name) }
    const value = members[name] ?? undefined
    if (value !== undefined) return [name, field.read(value, memberPlace)] as const
    if (field.required) {
      place.problems.push(`Value null at '${memberPlace.path}' failed to satisfy constraint: Member must not be null`)
    }
    return [name, undefined] as const
  })
  return Object.fromEntries(entries) as RequestOf<F>
}

/** Reads a whole request strictly; throws SerializationException or ValidationException as KMS words them. */
export function readRequest<F extends Fields>(fields: F, body: unknown): RequestOf<F> {
  const problems: string[] = []
  const request = readMembers(fields, asObject(body, { path: "request", problems }), { path: "", problems })
  if (problems.length > 0) {
    const count = `${problems.length} validation error${problems.length === 1 ? "" : "s"} detected: `
    throw new KmsError("ValidationException", count + problems.join("; "))
  }
  return request
}
