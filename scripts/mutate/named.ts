/** A change that would break a promise, and the test that notices it. */
export interface NamedMutation {
  readonly title: string
  /** Compiled file, under `build/src`. */
  readonly file: string
  /** Text of the compiled file, found there once. */
  readonly before: string
  readonly after: string
  /** Compiled test file, under `build/test`. */
  readonly test: string
  /** Title of the test, whole or a part that no other test has. */
  readonly named: string
}

export const NAMED: readonly NamedMutation[] = []
