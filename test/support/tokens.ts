import { spawnSync } from "node:child_process"
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const SCRIPTS = fileURLToPath(new URL("../../../softhsm/", import.meta.url))

/** A throw-away token in a folder of its own under the system's temporary folder. */
export interface TestToken {
  /** RFC 7512 URI for keyferry: token, module-path, pin-source, and NSS's library parameters. */
  readonly uri: string
  readonly label: string
  /** Absolute path of the module to load. */
  readonly module: string
  readonly pin: string
  readonly pinFile: string
  /** The security officer's PIN; NSS and the TPM fixture have none. */
  readonly soPin: string | undefined
  readonly dir: string
  /** What must be in the environment before the module is loaded. */
  readonly env: Readonly<Record<string, string>>
  /** `libraryParameters` of C_Initialize, with the trailing space that pkcs11js eats; NSS only. */
  readonly libraryParameters: string | undefined
  /** What a command must start with to see the token: openCryptoki's namespace, else nothing. */
  readonly prefix: readonly string[]
  /** Deletes the folder. May be called twice. */
  remove(): void
}

/** A token behind OpenSC's pkcs11-spy, which records every call with its arguments. */
export interface SpiedToken extends TestToken {
  /** What was recorded so far: it holds the PIN in clear, so it is never kept. */
  recording(): string
}

/** Makes a SoftHSM token. SoftHSM reads `env.SOFTHSM2_CONF` once, when it is loaded. */
export function softhsmToken(label = "keyferry"): TestToken {
  return make("make-softhsm.sh", label)
}

/** Makes an NSS softokn database. */
export function nssToken(): TestToken {
  return make("make-nss.sh")
}

/** Makes an openCryptoki soft token: for child processes only, started with `prefix`. Wants root or sudo. */
export function opencryptokiToken(label = "keyferry"): TestToken {
  const token = make("make-opencryptoki.sh", label)
  return { ...token, prefix: [join(SCRIPTS, "in-opencryptoki.sh"), token.dir] }
}

/** Adds a token to an openCryptoki that already has one, in a slot of its own: same configuration and PINs. */
export function addOpencryptokiToken(token: TestToken, label: string): TestToken {
  return { ...describe(run("make-opencryptoki.sh", [token.dir, label]), token.dir), prefix: token.prefix }
}

/** Prepares tpm2-pkcs11's module with an empty store and no TPM: a fixture for refusals. */
export function tpm2Module(): TestToken {
  return make("make-tpm2.sh")
}

let shared: TestToken | undefined

/**
 * Gives the one SoftHSM token that all tests of this process share, and points the process' environment at it.
 *
 * A module is loaded once for each process, so a second SOFTHSM2_CONF would not be read. Removed when the process ends.
 */
export function sharedSofthsmToken(): TestToken {
  if (shared) return shared
  const token = softhsmToken("keyferry-tests")
  Object.assign(process.env, token.env)
  process.once("exit", () => token.remove())
  shared = token
  return token
}

/** Adds a token to a SoftHSM that already has one: same configuration and PINs. Seen from the next C_Initialize on. */
export function addSofthsmToken(token: TestToken, label: string): TestToken {
  return describe(run("make-softhsm.sh", [token.dir, label]), token.dir)
}

/** Puts pkcs11-spy between a client and the token. The recording has mode 0600 and goes with `remove`. */
export function spy(token: TestToken): SpiedToken {
  const module = modulePath("spy")
  const dir = mkdtempSync(join(tmpdir(), "keyferry-spy-"))
  const output = join(dir, "recording")
  // pkcs11-spy appends: a file made beforehand keeps its mode
  writeFileSync(output, "", { mode: 0o600 })
  chmodSync(output, 0o600)
  return {
    ...token,
    module,
    uri: token.uri.replace(/module-path=[^&]*/, `module-path=${module}`),
    env: { ...token.env, PKCS11SPY: token.module, PKCS11SPY_OUTPUT: output },
    recording: () => readFileSync(output, "utf8"),
    remove() {
      rmSync(dir, { recursive: true, force: true })
      token.remove()
    },
  }
}

/** Finds a module of this machine. */
export function modulePath(name: "softhsm" | "nss" | "opencryptoki" | "tpm2" | "spy"): string {
  return run("module-path.sh", [name]).trim()
}

function make(script: string, ...more: readonly string[]): TestToken {
  const dir = mkdtempSync(join(tmpdir(), "keyferry-token-"))
  try {
    return describe(run(script, [dir, ...more]), dir)
  } catch (error) {
    rmSync(dir, { recursive: true, force: true })
    throw error
  }
}

function run(script: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(join(SCRIPTS, script), args, { encoding: "utf8" })
  if (error) throw error
  if (status !== 0) throw new Error(`${script} ended with status ${String(status)}: ${stderr}`)
  return stdout
}

/** Reads the `NAME='value'` lines that the scripts print; those with `export` are the environment. */
function describe(output: string, dir: string): TestToken {
  const lines = [...output.matchAll(/^(export )?(\w+)='(.*)'$/gm)].map(([, exported, name = "", value = ""]) => ({
    exported: exported !== undefined,
    name,
    value: value.replaceAll("'\\''", "'"),
  }))
  const facts = Object.fromEntries(lines.map(({ name, value }) => [name, value]))
  const fact = (name: string): string => {
    const value = facts[name]
    if (value === undefined) throw new Error(`no ${name} in: ${output}`)
    return value
  }
  const pinFile = fact("TOKEN_PIN_FILE")
  return {
    uri: fact("KEYFERRY_TOKEN"),
    label: fact("TOKEN_LABEL"),
    module: fact("TOKEN_MODULE"),
    pin: readPin(pinFile) ?? "",
    pinFile,
    soPin: readPin(join(dir, "so-pin")),
    dir,
    env: Object.fromEntries(
      lines.filter((line) => line.exported && line.name !== "KEYFERRY_TOKEN").map(({ name, value }) => [name, value]),
    ),
    libraryParameters: facts["TOKEN_LIBRARY_PARAMETERS"],
    prefix: [],
    remove: () => rmSync(dir, { recursive: true, force: true }),
  }
}

function readPin(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trimEnd()
  } catch {
    return undefined
  }
}
