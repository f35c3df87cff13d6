import { writeFileSync } from "node:fs"
import type { Stage } from "./stage.js"

/** What one lane works on: a state directory, and the name of the key that is used up there. */
export interface Subject {
  readonly state: string
  readonly name: string
  /** KMS keys that the name stands for before the command, former ones included. */
  readonly keysBefore: number
  /** Generations of the key that is not a former one, before the command. */
  readonly generationsBefore: number
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
}

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

/** What happens by the clock, and by a manifest. */
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
]

const manifestOf = (name: string, state: string): string => `${state}-${name}.yaml`

function writeManifest({ token, kms }: Stage, { name, state }: Subject, { key, rotateEvery }: Operation): void {
  const manifest = {
    version: 1,
    tokens: { only: { uri: token.uri } },
    targets: { "us-east-1": { region: "us-east-1", endpoint: kms.endpoint } },
    keys: {
      [name]: {
        keySpec: key["key-spec"],
        alias: `alias/${name}`,
        targets: ["us-east-1"],
        rotateEvery: `${rotateEvery}d`,
      },
    },
  }
  // JSON is YAML
  writeFileSync(manifestOf(name, state), JSON.stringify(manifest))
}

/** Lets the time pass after which the command has something to do, and a minute: KMS tells its time to the second. */
export async function becomeDue(stage: Stage, { rotateEvery }: Operation): Promise<void> {
  if (rotateEvery !== undefined) await stage.kms.clock.advance(rotateEvery * 86_400 + 60)
}

/** Gives a name its key, where the operation does not make it itself. */
export async function prepare(stage: Stage, operation: Operation, state: string, name: string): Promise<Subject> {
  // the real service takes minutes
  await stage.kms.rotationSeconds(0)
  if (operation.fresh) return { state, name, keysBefore: 0, generationsBefore: 0 }
  for (const keyName of keyNames(name, operation.keys)) {
    const made = await stage.run(provisionArgs(keyName, operation.key), { state })
    if (made.status !== 0) throw new Error(`${keyName} was not provisioned: ${made.stderr}`)
  }
  const subject = { state, name, keysBefore: 1, generationsBefore: 1 }
  if (operation.rotateEvery !== undefined) writeManifest(stage, subject, operation)
  return subject
}

/** The same key again, as it is after the command; null where it has stood enough of this. */
export function next({ adds, times, fresh }: Operation, subject: Subject): Subject | null {
  const keysBefore = subject.keysBefore + adds.keys
  const generationsBefore = subject.generationsBefore + adds.generations
  const used = Math.max(keysBefore, generationsBefore)
  return fresh || times === 1 || used > times ? null : { ...subject, keysBefore, generationsBefore }
}
