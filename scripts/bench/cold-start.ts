import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { keyferry, MAIN } from "#test/support/cli.js"
import { startLocalKms } from "#test/support/local-kms.js"
import { softhsmToken } from "#test/support/tokens.js"
import { type Measure, median } from "./measure.js"

const ROUNDS = 21

/** (c) From nothing to the end of the process, in turns: a bare Node, `--version`, and `wrap` of one key. */
export async function coldStart(say: (text: string) => void): Promise<readonly Measure[]> {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-bench-"))
  const token = softhsmToken("bench")
  try {
    const env = { ...token.env, KEYFERRY_TOKEN: token.uri, KEYFERRY_STATE_DIR: join(folder, "state") }
    const parameters = join(folder, "bench.params.json")
    await prepare(env, parameters)
    const out = join(folder, "EncryptedKeyMaterial.bin")
    const wrap = ["wrap", "--name", "bench", "--parameters", parameters, "--out", out]
    const turns = {
      bare: () => milliseconds(["-e", "0"], env),
      version: () => milliseconds([MAIN, "--version"], env),
      wrap() {
        for (const file of [out, `${out}.json`]) rmSync(file, { force: true })
        return milliseconds([MAIN, ...wrap], env)
      },
    }
    // the first wrap tests the path and keeps the verdict
    turns.wrap()
    turns.version()
    const rounds: { bare: number; version: number; wrap: number }[] = []
    for (let round = 0; round < ROUNDS; round++) {
      rounds.push({ bare: turns.bare(), version: turns.version(), wrap: turns.wrap() })
    }
    say(`${ROUNDS} rounds`)
    const middle = (of: (round: (typeof rounds)[number]) => number): number => median(rounds.map(of))
    const bare = middle((round) => round.bare)
    return [
      { part: "c", what: "node -e 0", value: bare, unit: "ms" },
      { part: "c", what: "keyferry --version", value: middle((round) => round.version), unit: "ms" },
      { part: "c", what: "keyferry wrap", value: middle((round) => round.wrap), unit: "ms" },
      {
        part: "c",
        what: "keyferry --version against node",
        value: middle((round) => round.version) / bare,
        unit: "times",
        target: { bound: "at most", value: 1.5 },
      },
      {
        part: "c",
        what: "keyferry wrap against node",
        value: middle((round) => round.wrap) / bare,
        unit: "times",
        target: { bound: "at most", value: 5 },
      },
    ]
  } finally {
    token.remove()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A source key in the token, and the parameters of a KMS key in a file. */
async function prepare(env: Readonly<Record<string, string>>, parameters: string): Promise<void> {
  await using kms = await startLocalKms()
  const spec = ["--key-spec", "SYMMETRIC_DEFAULT"]
  const algorithm = ["--wrapping-algorithm", "RSAES_OAEP_SHA_1"]
  for (const command of [
    ["key", "generate", "--name", "bench", ...spec, "--custody", "token"],
    ["params", "--name", "bench", ...spec, "--custody", "token", ...algorithm, "--out", parameters],
  ]) {
    const { status, stderr } = await keyferry(command, { env: { ...kms.env, ...env } })
    if (status !== 0) throw new Error(`keyferry ${command.join(" ")}: ${stderr}`)
  }
}

function milliseconds(args: readonly string[], env: Readonly<Record<string, string>>): number {
  const start = performance.now()
  const { status, stderr } = spawnSync(process.execPath, args, {
    env: { ...process.env, ...env },
    encoding: "utf8",
  })
  if (status !== 0) throw new Error(`node ${args.join(" ")}: ${stderr}`)
  return performance.now() - start
}
