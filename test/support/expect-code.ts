import { expect } from "chai"
import { type ErrorCode, KeyferryError } from "#src/core/error.js"

/** Awaits a failure and asserts its code. Returns the error for closer looks. */
export async function expectCode(code: ErrorCode, run: () => unknown): Promise<KeyferryError> {
  try {
    await run()
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error
    expect(error.code, error.message).to.equal(code)
    return error
  }
  throw new Error(`expected ${code}, but nothing was thrown`)
}
