import { KeyferryError } from "#src/core/base/error.js"

/** One kind of file or answer that comes in. */
export interface Subject {
  readonly name: string
  /** The same for each run. */
  readonly sample: Uint8Array
  /**
   * Reads it as the program does, in a folder of its own.
   *
   * @returns in words what was accepted and means something else than it says; null for nothing
   * @throws KeyferryError where it is refused
   */
  read(bytes: Uint8Array, folder: string): Promise<string | null>
}

/** What came of one mutant. */
export type Outcome = "refused" | "accepted" | { readonly fault: string }

/** Reads a mutant: whatever is not refused by name, or accepted as what it says, is a fault. */
export async function judge(subject: Subject, bytes: Uint8Array, folder: string): Promise<Outcome> {
  try {
    const difference = await subject.read(bytes, folder)
    return difference === null ? "accepted" : { fault: `accepted, and ${difference}` }
  } catch (error) {
    if (error instanceof KeyferryError && error.code !== "ERR_BUG") return "refused"
    return { fault: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}
