import { createRequire } from "node:module"
import { systemClock } from "#src/host/clock.js"
import { createLog } from "#src/log/log.js"
import { EVENTS, type EventName } from "#src/core/records/log-event.js"
import { KeyferryError } from "#src/core/base/error.js"
import { Secret } from "#src/core/base/secret.js"

/** Logs every event with values that must not be seen: `node log-process.js text|json verbose|quiet`. */
const POISON = "7351-poison"
const bytes = Buffer.from(POISON)

const cause = Object.assign(new Error("inner words", { cause: new Secret(POISON) }), {
  code: "ECONNRESET",
  pin: POISON,
  $response: { body: POISON },
  $metadata: { requestId: "request-1" },
})
const error = Object.assign(
  new KeyferryError("ERR_KMS_OTHER", "outer words", { cause, causes: [{ code: "AwsName", message: "aws words" }] }),
  { importToken: bytes },
)

const VALUES: readonly unknown[] = [
  new Secret(POISON),
  new Secret(bytes),
  bytes,
  Uint8Array.from(bytes).buffer,
  new DataView(Uint8Array.from(bytes).buffer),
  { nested: { pin: POISON } },
  [new Secret(POISON), { pin: POISON }, [bytes]],
  new Map([["pin", POISON]]),
  Object.assign(() => POISON, { pin: POISON }),
  error,
  new Error("looped"),
]
;(VALUES.at(-1) as Error).cause = VALUES.at(-1)

const log = await createLog({
  clock: systemClock,
  format: process.argv[2] === "json" ? "json" : "text",
  verbose: process.argv[3] === "verbose",
})
for (const name of Object.keys(EVENTS) as EventName[]) {
  for (const value of VALUES) {
    const fields = Object.fromEntries(EVENTS[name].fields.map((field) => [field, value]))
    const offList: object = { pin: POISON, importToken: bytes, secretAccessKey: POISON }
    log.event(name, { ...fields, ...offList })
  }
}
log.event("key.imported", {
  name: "a name\nkeyferry: error: forged",
  validTo: new Date(0),
  generation: 0,
  requestId: null,
})

// said on standard output, where the log never writes
const modules = Object.keys(createRequire(import.meta.url).cache)
if (process.argv[4] === "modules")
  process.stdout.write(`winston ${modules.some((path) => path.includes("/winston/"))}\n`)
