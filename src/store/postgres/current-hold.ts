import { AsyncLocalStorage } from "node:async_hooks"
import { setTimeout as sleep } from "node:timers/promises"
import { KeyferryError } from "../../core/base/error.js"
import type { HeldBinding, HeldWork } from "../../core/ports/held-work.js"
import type { Fence } from "./fence.js"
import type { Hold, Holds } from "./holds.js"

/** How often what is held is asked for again, in ms. */
const POLL = 250

const current = new AsyncLocalStorage<readonly Hold[]>()

/** Of all work of this process, as a command has them that works on the keys it was given. */
const ofRun = new Set<Hold>()

const holdsHere = (): readonly Hold[] => [...ofRun, ...(current.getStore() ?? [])]

/** Does work under a hold, and under those that the caller works under already. */
export function during<T>(hold: Hold, work: () => Promise<T>): Promise<T> {
  return current.run([...(current.getStore() ?? []), hold], work)
}

/** The fences of what the caller works under; none outside of it. */
export function currentFences(): readonly Fence[] {
  return holdsHere().flatMap(({ fences }) => fences)
}

/** @throws ERR_BINDING_LOST where one of the holds that the caller works under is lost */
export async function assertCurrentHeld(): Promise<void> {
  for (const hold of holdsHere()) await hold.assertHeld()
}

/** Work under holds of this process. */
export function heldWork(holds: Holds): HeldWork {
  return {
    async during(bindings, work, { patience = 0 } = {}) {
      await using hold = await holdWithin(holds, bindings, patience)
      return await during(hold, work)
    },
  }
}

/** Holds bindings for all that this process does until it is disposed. @param patience in ms @throws ERR_KEY_HELD */
export async function holdForRun(
  holds: Holds,
  bindings: readonly HeldBinding[],
  patience: number,
): Promise<AsyncDisposable> {
  const hold = await holdWithin(holds, bindings, patience)
  ofRun.add(hold)
  return {
    async [Symbol.asyncDispose]() {
      ofRun.delete(hold)
      await hold[Symbol.asyncDispose]()
    },
  }
}

async function holdWithin(holds: Holds, bindings: readonly HeldBinding[], patience: number): Promise<Hold> {
  const start = performance.now()
  for (;;) {
    try {
      return await holds.hold(bindings)
    } catch (error) {
      const isHeld = error instanceof KeyferryError && error.code === "ERR_KEY_HELD"
      if (!isHeld || performance.now() - start >= patience) throw error
      await sleep(POLL)
    }
  }
}
