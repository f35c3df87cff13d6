import { KeyferryError } from "../base/error.js"

/** Path attributes that select a token (RFC 7512 section 2.3); each must equal what the module reports. */
const SELECTORS = [
  "token",
  "serial",
  "manufacturer",
  "model",
  "slot-id",
  "slot-description",
  "slot-manufacturer",
  "library-description",
  "library-manufacturer",
  "library-version",
] as const

export type TokenSelector = (typeof SELECTORS)[number]

/** Attributes that are in the standard and are refused here, with the reason. */
const REFUSED: Readonly<Record<string, string>> = {
  object: "it names an object; a token URI names a token, and keys are named by --name",
  id: "it names an object; a token URI names a token, and keys are named by --name",
  type: "it names an object; a token URI names a token, and keys are named by --name",
  "module-name": "a name depends on the machine's search path; give module-path",
  "pin-value": "a PIN in a URI shows in process lists and shell histories; give pin-source",
}

/** The selectors that say which token it is; a slot number may change from one start to the next. */
const IDENTITY: readonly TokenSelector[] = ["token", "serial", "manufacturer", "model"]

/** A PKCS #11 URI that names a token (RFC 7512), taken apart and percent-decoded. */
export interface TokenUri {
  readonly selectors: Readonly<Partial<Record<TokenSelector, string>>>
  /** Path of the PKCS #11 library. */
  readonly modulePath: string | null
  /** As it stands: `file:…`, `fd:…`, `env:…`, `exec:…`, `prompt`, or a path. */
  readonly pinSource: string | null
  /** Vendor attribute `x-library-parameters`: the string that NSS wants at C_Initialize. */
  readonly libraryParameters: string | null
}

/**
 * Reads a token URI such as `pkcs11:token=byok?module-path=/usr/lib/softhsm/libsofthsm2.so`. Unknown attributes are
 * refused, as a mistyped selector would choose another token; vendor attributes (`x-…`) that are not ours are ignored.
 *
 * @throws ERR_TOKEN_URI_INVALID
 */
export function parseTokenUri(text: string): TokenUri {
  if (!text.toLowerCase().startsWith("pkcs11:")) throw invalid("does not start with pkcs11:")
  const [path = "", query, ...excess] = text.slice("pkcs11:".length).split("?")
  if (excess.length > 0) throw invalid("has more than one question mark; write a literal one as %3F")

  const selectors = attributes(path, ";")
  for (const name of Object.keys(selectors)) {
    if (name in REFUSED) throw refused(name)
    if (!isVendor(name) && !isSelector(name)) throw invalid(`has an attribute that keyferry does not know: ${name}`)
  }
  const options = attributes(query ?? "", "&")
  for (const name of Object.keys(options)) {
    if (name in REFUSED) throw refused(name)
    if (!isVendor(name) && name !== "module-path" && name !== "pin-source") {
      throw invalid(`has an attribute after the question mark that keyferry does not know: ${name}`)
    }
  }
  if ("slot-id" in selectors && !namesToken({ selectors })) {
    throw invalid("chooses by slot-id alone, and slot numbers change: add token= or serial=")
  }
  return {
    selectors: Object.fromEntries(Object.entries(selectors).filter(([name]) => isSelector(name))),
    modulePath: options["module-path"] ?? null,
    pinSource: options["pin-source"] ?? null,
    libraryParameters: options["x-library-parameters"] ?? null,
  }
}

/** Whether a selector says which token it is, so that a slot-id may stand beside it. */
export function namesToken({ selectors }: Pick<TokenUri, "selectors">): boolean {
  return IDENTITY.some((name) => name in selectors)
}

/** The selectors as an operator reads them, `token=byok, serial=92f3`; empty for a URI that takes any token. */
export function selectorText(uri: TokenUri): string {
  return Object.entries(uri.selectors)
    .map(([name, value]) => `${name}=${value}`)
    .join(", ")
}

function attributes(part: string, separator: string): Record<string, string> {
  const attributes = Object.create(null) as Record<string, string>
  if (part === "") return attributes
  for (const item of part.split(separator)) {
    const equals = item.indexOf("=")
    if (equals < 1) throw invalid("has a part that does not stand as name=value")
    const name = item.slice(0, equals)
    if (name in attributes) throw invalid(`has the attribute ${name} twice`)
    attributes[name] = decode(name, item.slice(equals + 1))
  }
  return attributes
}

function decode(name: string, value: string): string {
  let decoded: string
  try {
    decoded = decodeURIComponent(value)
  } catch {
    throw invalid(`has a percent sign in ${name} that starts no UTF-8 character; write a literal one as %25`)
  }
  if (decoded === "") throw invalid(`has nothing after ${name}=`)
  if (decoded.includes("\0")) throw invalid(`has a zero byte in ${name}`)
  return decoded
}

function isSelector(name: string): name is TokenSelector {
  return (SELECTORS as readonly string[]).includes(name)
}

function isVendor(name: string): boolean {
  return name.startsWith("x-")
}

function refused(name: string): KeyferryError {
  return invalid(`has ${name}: ${REFUSED[name] ?? ""}`)
}

/** The value is left out of the message: an attribute may be a PIN that was put in the wrong place. */
function invalid(reason: string): KeyferryError {
  return new KeyferryError("ERR_TOKEN_URI_INVALID", `the token URI ${reason}`)
}
