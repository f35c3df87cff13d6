import { KeyferryError } from "../../core/base/error.js"
import type { TokenInfo } from "../../core/token/token-info.js"
import { namesToken, selectorText, type TokenSelector, type TokenUri } from "../../core/token/token-uri.js"
import { hasFlag } from "../cryptoki/token-flag.js"
import type { Pkcs11Module } from "./module.js"
import { trim, version } from "./padded.js"
import { idOf, presentToken, slotsOf, type TokenSlot } from "./slots.js"

/**
 * The one token that fits the URI.
 *
 * @throws ERR_TOKEN_NOT_FOUND, ERR_TOKEN_AMBIGUOUS (both list what is there), ERR_TOKEN_UNINITIALIZED
 */
export function chooseToken(holder: Pkcs11Module, uri: TokenUri): TokenSlot {
  const slots = slotsOf(holder)
  const present = slots.flatMap((slot) => presentToken(holder, slot))
  const fitting = present.filter((candidate) => fits(holder, candidate, uri))
  const initialised = fitting.filter(({ token }) => hasFlag(token.flags, "CKF_TOKEN_INITIALIZED"))
  const selector = selectorText(uri) || "any token"
  const [chosen, duplicate] = initialised
  if (duplicate) {
    throw new KeyferryError(
      "ERR_TOKEN_AMBIGUOUS",
      `${initialised.length} tokens fit ${selector}: ${listed(initialised)}`,
      { hint: `${distinction(initialised, uri)} so that one token fits` },
    )
  }
  if (chosen) return chosen
  if (fitting.length > 0) {
    throw new KeyferryError("ERR_TOKEN_UNINITIALIZED", `the token that fits ${selector} is not initialised`)
  }
  const presentTokens = present.length === 0 ? "no slot has a token" : `there is ${listed(present)}`
  const silent = slots.flatMap(({ id, reason }) =>
    reason === null ? [] : [`; slot ${id} does not answer (${reason})`],
  )
  throw new KeyferryError(
    "ERR_TOKEN_NOT_FOUND",
    `no token fits ${selector} in ${holder.path}: ${presentTokens}${silent.join("")}`,
  )
}

function fits({ info: library }: Pkcs11Module, { slot, info }: TokenSlot, uri: TokenUri): boolean {
  const fields: Readonly<Record<TokenSelector, string>> = {
    token: info.label,
    serial: info.serial,
    manufacturer: info.manufacturer,
    model: info.model,
    "slot-id": idOf(slot.handle),
    "slot-description": trim(slot.slotDescription),
    "slot-manufacturer": trim(slot.manufacturerID),
    "library-description": trim(library.libraryDescription),
    "library-manufacturer": trim(library.manufacturerID),
    "library-version": version(library.libraryVersion),
  }
  return (Object.entries(uri.selectors) as [TokenSelector, string][]).every(([name, value]) => fields[name] === value)
}

/** The slot is named of tokens whose serial tells nothing. */
function listed(tokens: readonly TokenSlot[]): string {
  const serials = tokens.map(({ info }) => info.serial)
  return tokens
    .map(({ info, token, slot }) => {
      const name = hasFlag(token.flags, "CKF_TOKEN_INITIALIZED") ? `"${info.label}"` : "one not initialised"
      const isTold = info.serial !== "" && serials.filter((serial) => serial === info.serial).length === 1
      const place = isTold ? "" : `, slot-id ${idOf(slot.handle)}`
      return `${name} (serial ${info.serial || "none"}${place}, ${info.manufacturer} ${info.model})`
    })
    .join("; ")
}

/** In words: what to add to the URI of several tokens that fit it. Slot numbers may change, so they come last. */
function distinction(tokens: readonly TokenSlot[], uri: TokenUri): string {
  const fields = tokens.map(({ info: { label, ...info } }) => ({
    serial: info.serial,
    token: label,
    model: info.model,
  }))
  const telling = (["serial", "token", "model"] as const).find((name) => {
    const texts = new Set(fields.map((field) => field[name]))
    return !texts.has("") && texts.size === tokens.length
  })
  if (telling) return `add ${telling}= to the token URI`
  const slots = tokens.map(({ slot, info }) =>
    [...(namesToken(uri) ? [] : [identityText(info)]), `slot-id=${idOf(slot.handle)}`].join(";"),
  )
  return `nothing but the slot tells them apart: add ${slots.join(" or ")} to the token URI`
}

/** A selector beside which a slot-id may stand. */
function identityText({ label, manufacturer, model }: TokenInfo): string {
  const [name, text] = label ? ["token", label] : manufacturer ? ["manufacturer", manufacturer] : ["model", model]
  return `${name}=${encodeURIComponent(text)}`
}
