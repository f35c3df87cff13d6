/** What one worker at a time works on: a key of a target. */
export interface HeldBinding {
  readonly name: string
  readonly target: string
}

/**
 * Keeps other workers, of this process and of all others, from what is being worked on. Where the state is that of one
 * machine its lock does so already, and work is simply done.
 */
export interface HeldWork {
  /**
   * Does work while all of the bindings are this worker's. What it writes, and what it sends to KMS that cannot be sent
   * twice, is refused with ERR_BINDING_LOST once one of them is another's.
   *
   * @param patience in ms: how long it is waited for who holds one; 0 where it is left out
   * @throws ERR_KEY_HELD naming key and holder, with nothing done; what the work throws
   */
  during<T>(
    bindings: readonly HeldBinding[],
    work: () => Promise<T>,
    options?: { readonly patience?: number },
  ): Promise<T>
}
