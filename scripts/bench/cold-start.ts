import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { keyferry, MAIN } from "#test/support/cli.js"
import { startLocalKms } from "#test/support/local-kms.js"
import { softhsmToken } from "#test/support/tokens.js"
import { type Measure, median } from "./measure.js"

const ROUNDS = 21
const SPEC = ["--key-spec", "SYMMETRIC_DEFAULT"]

/** (c) From nothing to the end of the process, in turns: a bare Node, `--version`, `wrap` and `provision` of one key. */
export async function coldStart(say: (text: string) => void): Promise<readonly Measure[]> {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-bench-"))
  const token = softhsmToken("bench")
  try {
    const env = { ...token.env, KEYFERRY_TOKEN: token.uri, KEYFERRY_STATE_DIR: join(folder, "state") }
    const parameters = join(folder, "bench.params.json")
    await using kms = await startLocalKms()
    await prepare({ ...kms.env, ...env }, parameters)
    const out = join(folder, "EncryptedKeyMaterial.bin")
    const wrap = ["wrap", "--name", "bench", "--parameters", parameters, "--out", out]
    const provision = ["provision", ...SPEC, "--wrapping-algorithm", "RSAES_OAEP_SHA_1"]
    let provisioned = 0
    const turns = {
      bare: () => milliseconds(["-e", "0"], env),
      version: () => milliseconds([MAIN, "--version"], env),
      provision: () => milliseconds([MAIN, ...provision, "--name", `key-${++provisioned}`], { ...kms.env, ...env }),
      wrap() {
        for (const file of [out, `${out}.json`]) rmSync(file, { force: true })
        return milliseconds([MAIN, ...wrap], env)
      },
    }
    // the first ones test the token and keep the verdict
    for (const turn of Object.values(turns)) turn()
    const rounds: Record<keyof typeof turns, number>[] = []
    for (let round = 0; round < ROUNDS; round++) {
      rounds.push({
        bare: turns.bare(),
        version: turns.version(),
        wrap: turns.wrap(),
        provision: turns.provision(),
      })
    }
    say(`${ROUNDS} rounds`)
    const middle = (turn: keyof typeof turns): number => median(rounds.map((round) => round[turn]))
    const bare = middle("bare")
    return [
      { part: "c", what: "node -e 0", value: bare, unit: "ms" },
      { part: "c", what: "keyferry --version", value: middle("version"), unit: "ms" },
      { part: "c", what: "keyferry wrap", value: middle("wrap"), unit: "ms" },
      {
        part: "c",
        what: "keyferry --version against node",
        value: middle("version") / bare,
        unit: "times",
        target: { bound: "at most", value: 1.5 },
      },
      {
        part: "c",
        what: "keyferry wrap against node",
        value: middle("wrap") / bare,
        unit: "times",
        target: { bound: "at most", value: 4 },
      },
      {
        part: "c",
        what: "keyferry provision, one sealed key",
        value: middle("provision"),
        unit: "ms",
        target: { bound: "at most", value: 300 },
      },
    ]
  } finally {
    token.remove()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A source key in the token, and the parameters of a KMS key in a file. */
async function prepare(env: Readonly<Record<string, string>>, parameters: string): Promise<void> {
  const algorithm = ["--wrapping-algorithm", "RSAES_OAEP_SHA_1"]
  for (const command of [
    ["key", "generate", "--name", "bench", ...SPEC, "--custody", "token"],
    ["params", "--name", "bench", ...SPEC, "--custody", "token", ...algorithm, "--out", parameters],
  ]) {
    const { status, stderr } = await keyferry(command, { env })
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
