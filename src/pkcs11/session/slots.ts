import type { Slot, Token as GrapheneToken } from "graphene-pk11"
import type { TokenInfo } from "../../core/token/token-info.js"
import { attempt, failureText } from "../cryptoki/errors.js"
import { Slot as GrapheneSlot, SlotFlag } from "../cryptoki/graphene.js"
import { tokenFlags } from "../cryptoki/token-flag.js"
import type { Pkcs11Module } from "./module.js"
import { trim, version } from "./padded.js"

/** One slot as `token list` shows it. */
export interface SlotDescription {
  /** CK_SLOT_ID, decimal, as slot-id in a URI. */
  readonly slotId: string
  readonly slotDescription: string
  /** Null where no token is present, or it does not answer. */
  readonly token: TokenInfo | null
  /** In words, such as `login required`, `user PIN locked`. */
  readonly flags: readonly string[]
  /** Why there is no token to show. */
  readonly reason: string | null
}

/** A slot and the token in it. */
export interface TokenSlot {
  readonly slot: Slot
  readonly token: GrapheneToken
  readonly info: TokenInfo
}

export interface ListedSlot {
  readonly id: string
  /** Null where it does not answer. */
  readonly slot: Slot | null
  /** Why not. */
  readonly reason: string | null
}

/** Every slot of the module, with and without token, and those that do not answer. */
export function describeSlots(holder: Pkcs11Module): readonly SlotDescription[] {
  return slotsOf(holder).map(({ id, slot, reason }) => {
    const common = { slotId: id, slotDescription: slot ? trim(slot.slotDescription) : "" }
    const without = { ...common, token: null, flags: [] }
    if (!slot) return { ...without, reason }
    if ((slot.flags & SlotFlag.TOKEN_PRESENT) === 0) return { ...without, reason: "no token present" }
    try {
      const token = attempt("C_GetTokenInfo", () => slot.getToken())
      return { ...common, token: tokenInfo(holder, token), flags: tokenFlags(token.flags), reason: null }
    } catch (error) {
      return { ...without, reason: failureText(error) }
    }
  })
}

/** One reader that is broken does not hide the others. */
export function slotsOf({ module }: Pkcs11Module): readonly ListedSlot[] {
  const handles = attempt("C_GetSlotList", () => module.lib.C_GetSlotList(false))
  return handles.map((handle) => {
    const id = idOf(handle)
    try {
      return { id, slot: attempt("C_GetSlotInfo", () => new GrapheneSlot(handle, module, module.lib)), reason: null }
    } catch (error) {
      return { id, slot: null, reason: failureText(error) }
    }
  })
}

export function presentToken(holder: Pkcs11Module, { slot }: ListedSlot): readonly TokenSlot[] {
  if (!slot || (slot.flags & SlotFlag.TOKEN_PRESENT) === 0) return []
  try {
    const token = slot.getToken()
    return [{ slot, token, info: tokenInfo(holder, token) }]
  } catch {
    // a token that does not answer is not the one that was asked for; `token list` shows it
    return []
  }
}

function tokenInfo({ library }: Pkcs11Module, token: GrapheneToken): TokenInfo {
  return {
    label: trim(token.label),
    serial: trim(token.serialNumber),
    manufacturer: trim(token.manufacturerID),
    model: trim(token.model),
    firmwareVersion: version(token.firmwareVersion),
    library,
  }
}

/** CK_SLOT_ID, decimal. */
export function idOf(handle: Buffer): string {
  return handle.readBigUInt64LE().toString()
}
