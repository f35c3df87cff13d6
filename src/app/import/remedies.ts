import { type ErrorCode, KeyferryError } from "../../core/base/error.js"
import type { Deps } from "../deps.js"
import { caughtUpSoon, WAITS_MS } from "../kms-key/eventual.js"

interface RemedyRow {
  /** Before each time, in milliseconds; it is tried as many times as there are waits. */
  readonly waitsMs: readonly number[]
  /** Whether parameters and wrapped material are sent again as they are. */
  readonly sameAgain: boolean
  /** What people are told; null where it is no news for them. */
  readonly words: ((error: KeyferryError) => string) | null
}

/** What an import does about a failure before it takes it for one. */
const REMEDIES = {
  /** KMS does not know yet that the KMS key was made or filled a moment ago. */
  wait: { waitsMs: WAITS_MS, sameAgain: true, words: null },
  /** New material whose answer was lost: KMS takes it, or says that it is the KMS key's already. */
  "send-again": {
    waitsMs: [0],
    sameAgain: true,
    words: () => "the answer to ImportKeyMaterial was lost; sending the same once more",
  },
  /** The import token is expired or unusable, or KMS could not unwrap what came with it. */
  "new-parameters": {
    waitsMs: [0],
    sameAgain: false,
    words: ({ message }) => `${message}; trying once more with new import parameters`,
  },
} as const satisfies Record<string, RemedyRow>

type Remedy = keyof typeof REMEDIES

const BY_CODE: Readonly<Partial<Record<ErrorCode, Remedy>>> = {
  ERR_KMS_KEY_NOT_FOUND: "wait",
  ERR_KMS_KEY_STATE: "wait",
  ERR_KMS_OUTCOME_UNKNOWN: "send-again",
}

/** How often each remedy was tried. */
type Tried = Readonly<Record<Remedy, number>>

export const NOTHING_TRIED: Tried = { wait: 0, "send-again": 0, "new-parameters": 0 }

interface Failure {
  readonly error: unknown
  readonly tried: Tried
  /** Material that was wrapped elsewhere has no other parameters. */
  readonly sameOnly: boolean
}

/** What is done about a failure, and what will have been tried then. */
interface Chosen {
  readonly name: Remedy
  readonly sameAgain: boolean
  readonly waitMs: number
  readonly words: string | null
  readonly tried: Tried
}

/** What is to be done about a failure; null where it counts as one. */
export async function remedyOf(
  deps: Pick<Deps, "kms">,
  keyArn: string,
  { error, tried, sameOnly }: Failure,
): Promise<Chosen | null> {
  if (!(error instanceof KeyferryError)) return null
  const name = error.retry === "new-parameters" ? "new-parameters" : BY_CODE[error.code]
  if (name === undefined) return null
  const { waitsMs, sameAgain, words }: RemedyRow = REMEDIES[name]
  const waitMs = waitsMs[tried[name]]
  if (waitMs === undefined || (sameOnly && !sameAgain)) return null
  if (name === "wait" && !(await caughtUpSoon(deps, keyArn, error))) return null
  // what is wrapped anew may be waited for and sent again as the first was
  const before = sameAgain ? tried : { ...NOTHING_TRIED, "new-parameters": tried["new-parameters"] }
  return { name, sameAgain, waitMs, words: words?.(error) ?? null, tried: { ...before, [name]: before[name] + 1 } }
}
