import type { KeyferryError } from "#src/core/base/error.js"
import { openKms } from "#src/kms/kms.js"
import { SYMMETRIC } from "./aws-environment.js"

/** Creates a key at the endpoint that the environment names, as a command would, and leaves the connection open. */
try {
  const kms = await openKms({ env: process.env })
  const { key } = await kms.createKey(SYMMETRIC)
  process.stdout.write(`${key.keyState} ${kms.endpoint?.origin ?? ""}\n`)
} catch (error) {
  const { code, causes } = error as KeyferryError
  process.stdout.write(`${code} ${causes[0]?.code ?? ""}\n`)
}
