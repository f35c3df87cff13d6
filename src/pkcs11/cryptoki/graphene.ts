import graphene from "graphene-pk11"

/** What is used of graphene, a CommonJS package: its names cannot be imported one by one. */
export const { Module, SessionFlag, Slot, SlotFlag } = graphene
