import { AsyncLocalStorage } from "node:async_hooks"
import { setTimeout as sleep } from "node:timers/promises"
import { KeyferryError } from "../../core/base/error.js"
import type { HeldWork } from "../../core/ports/held-work.js"
import type { Fence } from "./fence.js"
import type { Hold, Holds } from "./holds.js"

/** How often what is held is asked for again, in ms. */
const POLL = 250

const current = new AsyncLocalStorage<readonly Hold[]>()

/** Does work under a hold, and under those that the caller works under already. */
export function during<T>(hold: Hold, work: () => Promise<T>): Promise<T> {
  return current.run([...(current.getStore() ?? []), hold], work)
}

/** The fences of what the caller works under; none outside of it. */
export function currentFences(): readonly Fence[] {
  return (current.getStore() ?? []).flatMap(({ fences }) => fences)
}

/** @throws ERR_BINDING_LOST where one of the holds that the caller works under is lost */
export async function assertCurrentHeld(): Promise<void> {
  for (const hold of current.getStore() ?? []) await hold.assertHeld()
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

async function holdWithin(holds: Holds, bindings: Parameters<Holds["hold"]>[0], patience: number): Promise<Hold> {
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
