import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { expect } from "chai"
import { fromJSONSchema, prettifyError, type ZodType } from "zod"

const FOLDER = fileURLToPath(new URL("../../../docs/json/", import.meta.url))

const readers = new Map<string, ZodType>()

/** Path of the schema of what a command prints with --json; undefined where it has none. @param words such as `["key", "list", "--all"]` */
function schemaFile(words: readonly string[]): string | undefined {
  const names = [words.slice(0, 2).join("-"), words[0] ?? ""]
  return names.map((name) => `${FOLDER}${name}.schema.json`).find((file) => existsSync(file))
}

/** Checks an object against a schema of docs/json, which must name all that is in it. */
function expectBy(file: string, object: unknown): void {
  let reader = readers.get(file)
  if (reader === undefined) {
    // a program may meet more fields than it knows, but what is printed now is in the schema
    const schema = JSON.parse(readFileSync(file, "utf8"), (_key, part: unknown) =>
      isObjectSchema(part) ? { additionalProperties: false, ...part } : part,
    ) as Parameters<typeof fromJSONSchema>[0]
    reader = fromJSONSchema(schema)
    readers.set(file, reader)
  }
  const { success, error } = reader.safeParse(object)
  expect(success, `${file.slice(FOLDER.length)}: ${error === undefined ? "" : prettifyError(error)}`).to.equal(true)
}

/** What a command has printed with --json is as its schema says; policies and schemas have that of others. */
export function expectSchema(words: readonly string[], object: unknown): void {
  const file = schemaFile(words)
  if (file !== undefined) expectBy(file, object)
}

/** The same of an error. */
export function expectErrorSchema(object: unknown): void {
  expectBy(`${FOLDER}error.schema.json`, object)
}

const isObjectSchema = (part: unknown): part is object =>
  typeof part === "object" && part !== null && "properties" in part && "type" in part && part.type === "object"
