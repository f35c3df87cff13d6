import { readPin } from "#src/config/read-pin.js"
import { parsePinSource } from "#src/config/pin-source.js"
import { KeyferryError } from "#src/core/base/error.js"

/** Reads a PIN in a process of its own and writes what came: `node pin-process.js SOURCE`. */
try {
  const pin = await readPin(parsePinSource(process.argv[2] ?? ""), "byok", {
    env: process.env,
    warn: () => undefined,
  })
  process.stdout.write(`length ${pin.reveal().length} last ${pin.reveal().slice(-1)}\n`)
} catch (error) {
  process.stdout.write(`${error instanceof KeyferryError ? error.code : String(error)}\n`)
}
