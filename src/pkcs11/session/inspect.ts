import { KeyferryError } from "../../core/base/error.js"
import type { TokenInfo } from "../../core/token/token-info.js"
import type { TokenUri } from "../../core/token/token-uri.js"
import { attempt, refusalOf } from "../cryptoki/errors.js"
import { type PinState, pinState } from "./login.js"
import { mechanismName } from "../cryptoki/mechanisms.js"
import { chooseToken } from "./choose-token.js"
import { loadModule, type ModuleOptions, type Pkcs11Module } from "./module.js"
import type { TokenSlot } from "./slots.js"
import { profileOf } from "../profiles.js"
import { tokenFlags } from "../cryptoki/token-flag.js"

/** CKF_ flags of CK_MECHANISM_INFO (PKCS #11 v3.1 section 3.6). */
const USES = {
  encrypt: 0x100,
  decrypt: 0x200,
  sign: 0x800,
  verify: 0x2000,
  generate: 0x8000,
  "generate pair": 0x10000,
  wrap: 0x20000,
  unwrap: 0x40000,
  derive: 0x80000,
} as const

/** What the token says of one mechanism. It is a claim: only the self-test tells what comes out. */
export interface MechanismDescription {
  /** `CKM_…`, or its number where keyferry has no name for it. */
  readonly name: string
  readonly minKeySize: number
  readonly maxKeySize: number
  readonly uses: readonly string[]
}

/** What a token says of itself before any login. */
export interface TokenDescription {
  readonly info: TokenInfo
  /** CK_TOKEN_INFO's flags in words. */
  readonly flags: readonly string[]
  readonly pin: PinState
  /** Family of the profile that fits. */
  readonly profile: string
  readonly mechanisms: readonly MechanismDescription[]
}

/** Loads the module that the URI names. Throws ERR_TOKEN_URI_INVALID where it names none, and ERR_MODULE_UNUSABLE. */
export function openModule(uri: TokenUri, options: ModuleOptions = {}): Pkcs11Module {
  if (uri.modulePath === null) {
    throw new KeyferryError("ERR_TOKEN_URI_INVALID", "the token URI has no module-path")
  }
  const libraryParameters = options.libraryParameters ?? uri.libraryParameters ?? undefined
  return loadModule(uri.modulePath, { ...options, libraryParameters })
}

/**
 * What the token that fits the URI says of itself, without login. Throws as {@link openModule} and `chooseToken`;
 * a caller that checks step by step calls those first.
 */
export function inspectToken(uri: TokenUri, options: ModuleOptions = {}): TokenDescription {
  using module = openModule(uri, options)
  const chosen = chooseToken(module, uri)
  const { lib, handle } = chosen.slot
  const types = attempt("C_GetMechanismList", () => lib.C_GetMechanismList(handle))
  return {
    info: chosen.info,
    flags: tokenFlags(chosen.token.flags),
    pin: pinState(chosen),
    profile: profileOf(chosen.info).family,
    mechanisms: types.flatMap((type) => describeMechanism(chosen, type)),
  }
}

/** Empty where the token lists a mechanism that it then does not know. */
function describeMechanism({ slot: { lib, handle } }: TokenSlot, type: number): readonly MechanismDescription[] {
  try {
    const { flags, minKeySize, maxKeySize } = attempt("C_GetMechanismInfo", () => lib.C_GetMechanismInfo(handle, type))
    const uses = Object.entries(USES).filter(([, bit]) => (flags & bit) !== 0)
    return [{ name: mechanismName(type), minKeySize, maxKeySize, uses: uses.map(([use]) => use) }]
  } catch (error) {
    refusalOf(error)
    return []
  }
}
