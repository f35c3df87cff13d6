import * as z from "zod"
import { WRAPPING_KEY_SPEC_NAMES } from "../../core/key/key-spec.js"
import { isName } from "../../core/key/source-key.js"
import { WRAPPING_ALGORITHM_NAMES } from "../../core/key/wrapping-algorithm.js"
import type { Operation } from "../../core/records/operation.js"
import { time, token } from "./inventory-schema.js"
import type { Parsed } from "./json-folder.js"
import { schemaFault } from "./schema-fault.js"

const name = z.string().refine(isName, "is no name")
const key = z.strictObject({ name, keyArn: z.string() })
const requestFields = z.strictObject({ id: z.uuid(), owner: z.string(), askedAt: time })

const again = z.strictObject({
  expiresIn: z.string().nullable(),
  wrappingAlgorithm: z.enum(["auto", ...WRAPPING_ALGORITHM_NAMES]).nullable(),
  wrappingKeySpec: z.enum(WRAPPING_KEY_SPEC_NAMES).nullable(),
  prove: z.enum(["full", "accept"]),
})

const replaceWishes = again.extend({
  localUse: z.boolean().nullable().exactOptional(),
  description: z.string().nullable().exactOptional(),
  tags: z.record(z.string(), z.string()).nullable().exactOptional(),
  keyPolicy: z.string().nullable().exactOptional(),
  acceptNoReimport: z.boolean().exactOptional(),
})

const operation = z.discriminatedUnion("command", [
  requestFields.extend({
    command: z.literal("rotate"),
    target: name,
    keys: z.array(key.extend({ generation: z.int().positive() })),
    wishes: again,
  }),
  requestFields.extend({ command: z.literal("replace"), target: name, keys: z.array(key), wishes: replaceWishes }),
  requestFields.extend({ command: z.literal("reseal"), token, newestBefore: z.int().nonnegative() }),
]) satisfies z.ZodType<Operation>

/** What a command was asked to do, or the first fault of its file. */
export function parseOperation(value: unknown): Parsed<Operation> {
  const { success, data, error } = operation.safeParse(value)
  return success ? { content: data } : { fault: schemaFault(error) }
}
