import { createHash } from "node:crypto"
import { accessSync, constants, readFileSync, statSync } from "node:fs"
import type { Module, Slot, Token as GrapheneToken } from "graphene-pk11"
import type { ModuleInfo } from "pkcs11js"
import { KeyferryError } from "../../core/base/error.js"
import type { TokenInfo } from "../../core/token/token-info.js"
import { namesToken, selectorText, type TokenSelector, type TokenUri } from "../../core/token/token-uri.js"
import { type CallDeadline, watchCalls } from "./call-watch.js"
import { attempt, ckrOf, failureText, tokenError } from "../cryptoki/errors.js"
import { keepInOneThread } from "../cryptoki/one-thread.js"
import { Module as GrapheneModule, Slot as GrapheneSlot, SlotFlag } from "../cryptoki/graphene.js"
import { hasFlag, tokenFlags } from "../cryptoki/token-flag.js"

/** CKF_OS_LOCKING_OK: sessions are used from several threads (PKCS #11 v3.1 section 5.4). */
const OS_LOCKING = 2

/** A loaded and initialised module; disposing the last holder finalises it. */
export interface Pkcs11Module extends Disposable {
  readonly path: string
  readonly module: Module
  readonly info: ModuleInfo
  /** `SoftHSM 2.6`: CK_INFO's description and version. */
  readonly library: string
  /** Whether it may be called from several threads; one that may not is used by one session a token. */
  readonly locks: boolean
}

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

/** A slot with the token that was chosen. */
export interface TokenSlot {
  readonly slot: Slot
  readonly token: GrapheneToken
  readonly info: TokenInfo
}

export interface ModuleOptions {
  /** What it wants at C_Initialize (NSS). */
  readonly libraryParameters?: string | undefined
  /** How long each of its calls may take, from when it is loaded; any time where it is left out. */
  readonly deadline?: CallDeadline | undefined
}

const loaded = new Map<string, Loaded & { holders: number; readonly libraryParameters: string | undefined }>()

/**
 * Loads the library and calls C_Initialize with OS locking, or without where the module cannot. PKCS #11 is initialised once for a process, so a module
 * that is loaded already is shared; one that other code initialised is used and not finalised.
 *
 * @throws ERR_MODULE_UNUSABLE with what the loader said, or where it is in use with other library parameters
 */
export function loadModule(path: string, { libraryParameters, deadline }: ModuleOptions = {}): Pkcs11Module {
  const entry = loaded.get(path) ?? { ...load(path, { libraryParameters, deadline }), libraryParameters, holders: 0 }
  if (entry.libraryParameters !== libraryParameters) {
    throw new KeyferryError(
      "ERR_MODULE_UNUSABLE",
      `the PKCS #11 module ${path} is in use with other library parameters`,
      {
        hint: "give every token URI of the module the same x-library-parameters: a process initialises it once",
      },
    )
  }
  entry.holders++
  loaded.set(path, entry)
  const { module, info, locks } = entry
  let held = true
  return {
    path,
    module,
    info,
    locks,
    library: `${trim(info.libraryDescription)} ${version(info.libraryVersion)}`.trim(),
    [Symbol.dispose]() {
      if (!held) return
      held = false
      if (--entry.holders > 0) return
      loaded.delete(path)
      if (entry.finalize) quietly(() => module.finalize())
    },
  }
}

interface Loaded {
  readonly module: Module
  readonly info: ModuleInfo
  readonly locks: boolean
  /** Whether it was initialised here, and so is to be finalised here. */
  readonly finalize: boolean
}

function load(path: string, { libraryParameters, deadline }: ModuleOptions): Loaded {
  let module: Module
  const watch = deadline && watchCalls(deadline)
  try {
    // the loader would search the system's folders for a bare name, and says little of a folder
    if (!statSync(path).isFile()) throw new Error(`${path}: not a file`)
    accessSync(path, constants.R_OK)
    module = watch ? watch.during("C_GetFunctionList", () => GrapheneModule.load(path)) : GrapheneModule.load(path)
    watch?.watch(module.lib)
  } catch (cause) {
    const error = tokenError("C_GetFunctionList", cause)
    const message = cause instanceof Error ? cause.message : String(cause)
    const causes = error instanceof KeyferryError ? error.causes : [{ code: "dlopen", message }]
    throw new KeyferryError("ERR_MODULE_UNUSABLE", `the PKCS #11 module ${path} cannot be loaded`, { cause, causes })
  }
  let finalize = false
  try {
    const state = initialise(module, libraryParameters)
    finalize = state !== "initialised before"
    const locks = state !== "without locking"
    if (!locks) keepInOneThread(module.lib)
    return { module, info: attempt("C_GetInfo", () => module.lib.C_GetInfo()), locks, finalize }
  } catch (cause) {
    if (finalize) quietly(() => module.finalize())
    if (!(cause instanceof KeyferryError)) throw cause
    throw new KeyferryError("ERR_MODULE_UNUSABLE", `the PKCS #11 module ${path} cannot be initialised`, {
      cause,
      causes: cause.causes,
      hint: "check the module's own configuration (its files and environment), and for NSS x-library-parameters",
    })
  }
}

type Initialisation = "with locking" | "without locking" | "initialised before"

/** Other code may have initialised the module before. */
function initialise({ lib }: Module, libraryParameters: string | undefined): Initialisation {
  // pkcs11js drops the last byte of the parameters (2.1.7)
  const parameters = libraryParameters === undefined ? {} : { libraryParameters: `${libraryParameters} ` }
  const ask = (flags: number): void => attempt("C_Initialize", () => lib.C_Initialize({ flags, ...parameters }))
  try {
    ask(OS_LOCKING)
    return "with locking"
  } catch (error) {
    if (ckrOf(error) === "CKR_CRYPTOKI_ALREADY_INITIALIZED") return "initialised before"
    if (ckrOf(error) !== "CKR_CANT_LOCK") throw error
    ask(0)
    return "without locking"
  }
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

/** SHA-256 of the module's file, hex: part of what self-test verdicts depend on. */
export function moduleDigest(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex")
}

interface ListedSlot {
  readonly id: string
  /** Null where it does not answer. */
  readonly slot: Slot | null
  /** Why not. */
  readonly reason: string | null
}

/** One reader that is broken does not hide the others. */
function slotsOf({ module }: Pkcs11Module): readonly ListedSlot[] {
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

function presentToken(holder: Pkcs11Module, { slot }: ListedSlot): readonly TokenSlot[] {
  if (!slot || (slot.flags & SlotFlag.TOKEN_PRESENT) === 0) return []
  try {
    const token = slot.getToken()
    return [{ slot, token, info: tokenInfo(holder, token) }]
  } catch {
    // a token that does not answer is not the one that was asked for; `token list` shows it
    return []
  }
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
function idOf(handle: Buffer): string {
  return handle.readBigUInt64LE().toString()
}

function version({ major, minor }: { readonly major: number; readonly minor: number }): string {
  return `${major}.${minor}`
}

/** CK_INFO and its kin are padded with blanks; some modules pad with zero bytes. */
function trim(text: string): string {
  return text.replace(/[\0 ]+$/, "")
}

function quietly(run: () => void): void {
  try {
    run()
  } catch {
    // the module goes with the process
  }
}
