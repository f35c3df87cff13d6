import { expect } from "chai"
import { type ErrorCode, KeyferryError } from "#src/core/base/error.js"

/** Asserts that the function throws, or the promise rejects with, a KeyferryError of this code; gives the error. */
export async function expectCode(code: ErrorCode, run: () => unknown): Promise<KeyferryError> {
  let thrown: unknown
  try {
    await run()
  } catch (error) {
    thrown = error
  }
  expect(thrown, `expected ${code}`).to.be.instanceOf(KeyferryError)
  expect((thrown as KeyferryError).code).to.equal(code)
  return thrown as KeyferryError
}
