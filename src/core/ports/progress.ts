/** Where a use case says what it is doing; one line a step, for people. */
export interface Progress {
  step(text: string): void
  /** Something the operator should know although it does not stop the work. */
  warn(text: string): void
}
