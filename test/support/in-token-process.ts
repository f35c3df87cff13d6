import { expect } from "chai"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { TestToken } from "#test/support/tokens.js"
import type { Outcome, Script } from "./token-process.js"

/** Runs a script of token-process.ts on a token that this process cannot open itself. */
export function inProcess(token: TestToken, script: Omit<Script, "uri">): readonly Outcome[] {
  const file = fileURLToPath(new URL("token-process.js", import.meta.url))
  // env(1) passes on to what follows it, be it a prefix or node
  const { stdout, stderr, status } = spawnSync("env", [...token.prefix, process.execPath, file], {
    input: JSON.stringify({ uri: token.uri, ...script }),
    encoding: "utf8",
    env: { ...process.env, ...token.env },
  })
  expect(status, stderr).to.equal(0)
  return JSON.parse(stdout) as readonly Outcome[]
}
