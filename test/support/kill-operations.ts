import { writeFileSync } from "node:fs"
import type { CliResult } from "./cli.js"
import { keysNamed, type Stage } from "./stage.js"

/** What one lane works on: a state directory, and the name of the key that is used up there. */
export interface Subject {
  readonly state: string
  readonly name: string
  /** KMS keys that the name stands for before the command, former ones included. */
  readonly keysBefore: number
  /** Generations of the key that is not a former one, before the command. */
  readonly generationsBefore: number
  /** What each generation has encrypted before: the right material decrypts it. */
  readonly ciphertexts?: readonly Uint8Array[]
}

/** One command under the knife. */
export interface Operation {
  readonly title: string
  /** The command's words, for a name in a state directory. */
  readonly args: (name: string, state: string) => readonly string[]
  /** Options of the key that is provisioned for it. */
  readonly key: Readonly<Record<string, string>>
  /** How many keys it is about, where that is more than one; `keyNames` names them. */
  readonly keys?: number
  /** Whether the command itself makes the key. */
  readonly fresh: boolean
  /** What it adds. */
  readonly adds: { readonly keys: number; readonly generations: number }
  /** How often one key stands it, before another is provisioned. */
  readonly times: number
  readonly custodyAfter: "sealed" | "token"
  /** Custody keys that seal nothing any more stay in the token, and are looked at each time. */
  readonly grows?: true
  /** Days after which a manifest lets the key rotate by itself; that time passes before the command. */
  readonly rotateEvery?: number
  /** Whether the key is there in a manifest alone before. */
  readonly manifest?: true
  /** What the commands before it have made, for one of the three steps. */
  readonly steps?: readonly ThreeStep[]
  /** The steps that follow it. */
  readonly followed?: readonly ThreeStep[]
  /** Whether another client has deleted all key material before the command. */
  readonly deleted?: true
}

type ThreeStep = "params" | "wrap" | "import"

/** What the command may end with when it is run again: a file that it wrote is overwritten by nothing, and is whole. */
export const againOf = ({ followed }: Operation): readonly number[] => (followed === undefined ? [0] : [0, 73])

const SYMMETRIC = { "key-spec": "SYMMETRIC_DEFAULT" } as const
const EC = { "key-spec": "ECC_NIST_P384", "key-usage": "SIGN_VERIFY" } as const
const HMAC = { "key-spec": "HMAC_256" } as const

const flags = (options: Readonly<Record<string, string>>): readonly string[] =>
  Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])

export const provisionArgs = (name: string, options: Readonly<Record<string, string>>): readonly string[] => [
  "provision",
  ...flags({ name, alias: `alias/${name}`, ...options }),
]

const once = { fresh: true, adds: { keys: 1, generations: 1 }, times: 1, custodyAfter: "sealed" } as const
const again = { fresh: false, adds: { keys: 0, generations: 0 }, custodyAfter: "sealed" } as const

/** A pair, of which a token can be left with half. */
const PAIR = { ...EC, custody: "token" }
const TOKEN = { ...HMAC, custody: "token" }

/** The name itself, and further ones of the same subject. */
export const keyNames = (name: string, count = 1): readonly string[] =>
  Array.from({ length: count }, (_, index) => (index === 0 ? name : `${name}-${index + 1}`))

/** Every command that changes what must never be lost, on the key kinds that differ in it. */
export const OPERATIONS: readonly Operation[] = [
  { title: "provision", args: (name) => provisionArgs(name, SYMMETRIC), key: SYMMETRIC, ...once },
  {
    title: "provision of a pair with token custody",
    args: (name) => provisionArgs(name, PAIR),
    key: PAIR,
    ...once,
    custodyAfter: "token",
  },
  { title: "rewrap", args: (name) => ["rewrap", name], key: SYMMETRIC, ...again, times: 100 },
  {
    title: "rotate",
    args: (name) => ["rotate", name],
    key: SYMMETRIC,
    ...again,
    adds: { keys: 0, generations: 1 },
    times: 5,
  },
  {
    title: "rotate of two keys",
    args: (name) => ["rotate", ...keyNames(name, 2)],
    key: SYMMETRIC,
    keys: 2,
    ...again,
    adds: { keys: 0, generations: 1 },
    times: 5,
  },
  {
    title: "replace",
    args: (name) => ["replace", name],
    key: HMAC,
    ...again,
    adds: { keys: 1, generations: 0 },
    times: 5,
  },
  { title: "reseal", args: (name) => ["key", "reseal", name, "--to", "sealed"], key: TOKEN, ...again, times: 1 },
  {
    title: "reseal under a new custody key",
    args: (name) => ["key", "reseal", name, "--new-custody-key"],
    key: SYMMETRIC,
    ...again,
    times: 20,
    grows: true,
  },
]

/** What happens by the clock, by a manifest, or because another client has deleted something. */
export const SCHEDULED: readonly Operation[] = [
  {
    title: "apply --only rotate",
    args: (name, state) => ["apply", "--only", "rotate", "--key", name, "--config", manifestOf(name, state)],
    key: SYMMETRIC,
    ...again,
    adds: { keys: 0, generations: 1 },
    times: 5,
    rotateEvery: 7,
  },
  {
    title: "apply of a new key",
    args: (name, state) => ["apply", "--key", name, "--config", manifestOf(name, state)],
    key: HMAC,
    ...once,
    manifest: true,
  },
  {
    title: "recover",
    args: (name) => ["recover", name, "--yes"],
    key: SYMMETRIC,
    ...again,
    times: 100,
    deleted: true,
  },
]

const fileOf = (name: string, state: string, suffix: string): string => `${state}-${name}.${suffix}`
const manifestOf = (name: string, state: string): string => fileOf(name, state, "yaml")

/** The words of a step; each writes or reads the same files of a name. */
function stepArgs(step: ThreeStep, name: string, state: string): readonly string[] {
  const parameters = ["--parameters", fileOf(name, state, "params.json")]
  const wrapped = fileOf(name, state, "bin")
  if (step === "params") return ["params", ...flags({ name, ...HMAC, out: parameters[1]! })]
  if (step === "wrap") return ["wrap", "--name", name, ...parameters, "--out", wrapped]
  return ["import", "--name", name, ...parameters, "--wrapped", wrapped]
}

/** The steps that call KMS, of a key that is in the token already. */
export const THREE_STEPS: readonly Operation[] = [
  {
    title: "params",
    args: (name, state) => stepArgs("params", name, state),
    key: HMAC,
    fresh: true,
    adds: { keys: 1, generations: 1 },
    times: 1,
    custodyAfter: "token",
    steps: [],
    followed: ["wrap", "import"],
  },
  {
    title: "import",
    args: (name, state) => stepArgs("import", name, state),
    key: HMAC,
    fresh: true,
    adds: { keys: 1, generations: 1 },
    times: 1,
    custodyAfter: "token",
    steps: ["params", "wrap"],
  },
]

function writeManifest({ token }: Stage, { name, state }: Subject, { key, rotateEvery }: Operation): void {
  const manifest = {
    version: 1,
    tokens: { only: { uri: token.uri } },
    // the endpoint is the environment's: a test may put something before KMS
    targets: { "us-east-1": { region: "us-east-1" } },
    keys: {
      [name]: {
        keySpec: key["key-spec"],
        alias: `alias/${name}`,
        targets: ["us-east-1"],
        ...(rotateEvery === undefined ? {} : { rotateEvery: `${rotateEvery}d` }),
      },
    },
  }
  // JSON is YAML
  writeFileSync(manifestOf(name, state), JSON.stringify(manifest))
}

/** Lets happen what gives the command something to do: time passes, and a minute, as KMS tells its time to the second. */
export async function becomeDue(stage: Stage, { rotateEvery, deleted }: Operation, { name }: Subject): Promise<void> {
  if (rotateEvery !== undefined) await stage.kms.clock.advance(rotateEvery * 86_400 + 60)
  if (deleted === undefined) return
  const [key] = await keysNamed(stage.sdk, name)
  const KeyId = key?.arn ?? ""
  const { Rotations = [] } = await stage.sdk.listKeyRotations({ KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL" })
  for (const { KeyMaterialId } of Rotations) await stage.sdk.deleteImportedKeyMaterial({ KeyId, KeyMaterialId })
}

/** What is still to be done when the command is through, so that the key is in use. */
export async function followUp(stage: Stage, { followed = [] }: Operation, { name, state }: Subject): Promise<void> {
  for (const step of followed) expectDone(await stage.run(stepArgs(step, name, state), { state }), step)
}

function expectDone({ status, stderr }: CliResult, title: string): void {
  if (status !== 0) throw new Error(`${title} failed: ${stderr}`)
}

/** Gives a name its key, where the operation does not make it itself. */
export async function prepare(stage: Stage, operation: Operation, state: string, name: string): Promise<Subject> {
  // the real service takes minutes
  await stage.kms.rotationSeconds(0)
  const subject = { state, name, keysBefore: 1, generationsBefore: 1 }
  if (operation.rotateEvery !== undefined || operation.manifest === true) writeManifest(stage, subject, operation)
  if (operation.steps !== undefined) {
    const generated = await stage.run(["key", "generate", ...flags({ name, custody: "token", ...operation.key })], {
      state,
    })
    expectDone(generated, `key generate of ${name}`)
    for (const step of operation.steps) expectDone(await stage.run(stepArgs(step, name, state), { state }), step)
  }
  if (operation.fresh) return { ...subject, keysBefore: 0, generationsBefore: 0 }
  for (const keyName of keyNames(name, operation.keys)) {
    expectDone(await stage.run(provisionArgs(keyName, operation.key), { state }), `provision of ${keyName}`)
  }
  return operation.deleted === undefined ? subject : await twoGenerations(stage, subject)
}

/** Rotates the key, and encrypts something before and after. */
async function twoGenerations(stage: Stage, subject: Subject): Promise<Subject> {
  const { state, name } = subject
  const ciphertexts: Uint8Array[] = []
  const encrypt = async (): Promise<void> => {
    const request = { KeyId: `alias/${name}`, Plaintext: Buffer.from(name) }
    ciphertexts.push((await stage.sdk.encrypt(request)).CiphertextBlob!)
  }
  await encrypt()
  expectDone(await stage.run(["rotate", name], { state }), `rotate of ${name}`)
  await encrypt()
  return { ...subject, generationsBefore: 2, ciphertexts }
}

/** The same key again, as it is after the command; null where it has stood enough of this. */
export function next({ adds, times, fresh }: Operation, subject: Subject): Subject | null {
  const keysBefore = subject.keysBefore + adds.keys
  const generationsBefore = subject.generationsBefore + adds.generations
  const used = Math.max(keysBefore, generationsBefore)
  return fresh || times === 1 || used > times ? null : { ...subject, keysBefore, generationsBefore }
}
