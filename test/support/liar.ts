import { execFileSync } from "node:child_process"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import type { TestToken } from "#test/support/tokens.js"

const SOURCE = fileURLToPath(new URL("../../../test/pkcs11/liar.c", import.meta.url))
const HEADERS = join(dirname(createRequire(import.meta.url).resolve("pkcs11js")), "includes", "pkcs11")

/** The token behind a module that tells lies, as liar.c has them: each is told by a variable of the environment. */
export function lyingToken(token: TestToken): TestToken {
  const module = join(token.dir, "liar.so")
  execFileSync("cc", ["-shared", "-fPIC", "-w", "-I", HEADERS, "-o", module, SOURCE, "-ldl"])
  return {
    ...token,
    module,
    uri: token.uri.replace(/module-path=[^&]*/, `module-path=${module}`),
    env: { ...token.env, LIAR_MODULE: token.module },
  }
}
