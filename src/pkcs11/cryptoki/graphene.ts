import { createRequire } from "node:module"
import type * as Graphene from "graphene-pk11"

/**
 * graphene, loaded as the CommonJS package that it is: an import reads each of its 60 files twice, once for the names
 * that they export, which takes longer than all the rest of a command.
 */
export const { Module, SessionFlag, Slot, SlotFlag } = createRequire(import.meta.url)(
  "graphene-pk11",
) as typeof Graphene
