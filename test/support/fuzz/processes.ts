import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { decodeBundle } from "#src/store/transfer/bundle-file.js"
import { setStage, type Stage } from "../stage.js"
import { freshPath, generate } from "../three-steps-stage.js"
import { mutate } from "./mutate.js"
import { type Random, randomOf } from "./random.js"
import type { Fault } from "./run.js"
import { FIXTURE, stateSubjects } from "./state-subjects.js"
import { CONFIGURATION, TRANSFER_SUBJECTS } from "./transfer-subjects.js"

/** A file under its mutant's name, and the command that reads it. */
interface Reading {
  readonly subject: string
  /** Writes the bytes to where the command looks for them; gives the command's words. */
  readonly words: (stage: Stage, state: string, bytes: Uint8Array) => readonly string[]
}

const given = (stage: Stage, name: string, bytes: Uint8Array): string => {
  const path = freshPath(stage, name)
  writeFileSync(path, bytes)
  return path
}

const wrapArgs = (stage: Stage, words: readonly string[]): readonly string[] => [
  ...["wrap", "--name", "source", ...words, "--out", freshPath(stage, "e.bin")],
]

const KEY_ID = "11111111-2222-3333-4444-555555555555"

/** The file of a state of 0.1.0 in place, then a command over it. */
const stateFile =
  (path: string, words: readonly string[]): Reading["words"] =>
  (_stage, state, bytes) => {
    cpSync(FIXTURE, state, { recursive: true })
    writeFileSync(join(state, path), bytes)
    return words
  }

const READINGS: readonly Reading[] = [
  {
    subject: CONFIGURATION,
    words: (stage, _state, bytes) => ["config", "check", "--config", given(stage, "c.yaml", bytes)],
  },
  {
    subject: "parameters of keyferry",
    words: (stage, _state, bytes) => wrapArgs(stage, ["--parameters", given(stage, "p.json", bytes)]),
  },
  {
    subject: "the console's zip",
    words: (stage, _state, bytes) => [
      ...wrapArgs(stage, ["--console-zip", given(stage, "c.zip", bytes), "--key-id", KEY_ID]),
      ...["--wrapping-algorithm", "RSAES_OAEP_SHA_1"],
    ],
  },
  {
    subject: "a PIN file",
    words: (stage, _state, bytes) => ["key", "list", "--pin-source", `file:${given(stage, "pin", bytes)}`],
  },
  { subject: "an inventory entry of 0.1.0", words: stateFile("inventory/us-east-1/payments.json", ["status"]) },
  { subject: "the custody log", words: stateFile("custody.log.jsonl", ["rewrap", "--all"]) },
]

/** Runs the built command on so many mutants, each in a process of its own. */
export async function fuzzProcesses(seed: number, count: number): Promise<readonly Fault[]> {
  await using stage = await setStage()
  const samples = new Map([...TRANSFER_SUBJECTS, ...(await stateSubjects())].map(({ name, sample }) => [name, sample]))
  const state = stage.state()
  await generate(stage, state, "source")
  const faults: Fault[] = []
  for (let number = 0; number < count; number += 1) {
    const random: Random = randomOf(seed, number)
    const { subject, words } = random.pick(READINGS)
    const { what, bytes } = mutate(samples.get(subject) ?? Buffer.alloc(0), random)
    const own = stage.state()
    cpSync(state, own, { recursive: true })
    const args = words(stage, own, bytes)
    const { status, signal, stderr } = await stage.run(args, { state: own })
    const fault =
      signal !== null || status === null
        ? `ended by ${signal ?? "nothing"}`
        : status === 70 || /ERR_BUG|^\s+at .+:\d+:\d+\)?$/m.test(stderr)
          ? `exit status ${status}: ${stderr}`
          : status === 0
            ? writtenFault(args)
            : null
    if (fault !== null) faults.push({ number, subject, what: `${what}: keyferry ${args.join(" ")}`, fault })
  }
  return faults
}

/** What was written must be read back. */
function writtenFault(args: readonly string[]): string | null {
  const out = args[args.indexOf("--out") + 1]
  if (!args.includes("--out") || out === undefined || !existsSync(out)) return null
  try {
    decodeBundle(readFileSync(`${out}.json`, "utf8"), out, readFileSync(out))
    return null
  } catch (error) {
    return `what was written is refused: ${String(error)}`
  }
}
