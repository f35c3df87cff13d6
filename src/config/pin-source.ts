import { KeyferryError } from "../core/base/error.js"

/** Where the PIN comes from; never the PIN. */
export type PinSource =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "fd"; readonly fd: number }
  | { readonly kind: "env"; readonly variable: string }
  | { readonly kind: "exec"; readonly command: string }
  | { readonly kind: "prompt" }

/** What may follow `KIND:`, and what it is read as. */
const KINDS: Readonly<Record<string, (place: string) => PinSource | undefined>> = {
  file: (path) => (filePath(path) === "" ? undefined : { kind: "file", path: filePath(path) }),
  fd: (fd) => (/^\d{1,6}$/.test(fd) ? { kind: "fd", fd: Number(fd) } : undefined),
  env: (variable) => (/^[A-Za-z_]\w*$/.test(variable) ? { kind: "env", variable } : undefined),
  exec: (command) => (command.trim() === "" ? undefined : { kind: "exec", command }),
}

/**
 * Reads a PIN source: `file:PATH`, `fd:N`, `env:NAME`, `exec:COMMAND`, `prompt`; or, as the `pin-source` of a PKCS #11
 * URI has it (RFC 7512 section 2.4), `file:/PATH`, `file:///PATH`, a bare absolute path, or `|COMMAND`.
 *
 * @throws ERR_PIN_SOURCE, without quoting the text: somebody may have given the PIN itself
 */
export function parsePinSource(text: string): PinSource {
  if (text === "prompt") return { kind: "prompt" }
  if (text.startsWith("/")) return { kind: "file", path: text }
  const [kind, place] = text.startsWith("|") ? ["exec", text.slice(1)] : split(text)
  const source = Object.hasOwn(KINDS, kind) ? KINDS[kind]?.(place) : undefined
  if (source === undefined) throw new KeyferryError("ERR_PIN_SOURCE", "the PIN source is not understood")
  return source
}

/** The source as messages name it. A command is not shown: it may hold the PIN. */
export function describePinSource(source: PinSource): string {
  const words: Readonly<Record<PinSource["kind"], string>> = {
    file: source.kind === "file" ? `the PIN file ${source.path}` : "",
    fd: source.kind === "fd" ? `file descriptor ${source.fd}` : "",
    env: source.kind === "env" ? `the environment variable ${source.variable}` : "",
    exec: "the PIN command",
    prompt: "the PIN prompt",
  }
  return words[source.kind]
}

function split(text: string): [kind: string, rest: string] {
  const colon = text.indexOf(":")
  return colon < 0 ? [text, ""] : [text.slice(0, colon), text.slice(colon + 1)]
}

/** `file://localhost/PATH` and `file:///PATH` (RFC 8089) as well as `file:PATH`. */
function filePath(place: string): string {
  const [, path] = /^\/\/(?:localhost)?(\/.*)$/.exec(place) ?? []
  return path ?? (place.startsWith("//") ? "" : place)
}
