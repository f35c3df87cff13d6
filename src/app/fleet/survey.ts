import { type ErrorCode, KeyferryError } from "../../core/base/error.js"
import type { ExitName } from "../../core/base/exit-code.js"
import { type DecisionRow, decisionRow } from "../../core/plan/decision-row.js"
import { plan } from "../../core/plan/plan.js"
import type { Action } from "../../core/plan/reason.js"
import type { Outcome } from "../../core/plan/row.js"
import { estimate } from "../../core/plan/schedule.js"
import type { Decision, PlanOptions, Snapshot } from "../../core/plan/snapshot.js"
import { rememberDeletions } from "./deleted.js"
import type { Fleet, FleetKey } from "./fleet.js"
import { type ObserveDepth, observer } from "./observe.js"
import { type SourceIndex, sourceIndex, type TokenContent } from "./source-index.js"

/** Keys that are observed at the same time: they wait for KMS, not for a token. */
const SURVEY_WIDTH = 32
/** From so many keys on the vault is read at once: it holds that of other keys too. */
const MANY = 100

export interface SurveyOptions extends PlanOptions {
  readonly depth: ObserveDepth
  /** What counts as planned; anything else that is due is left, and said. */
  readonly actions: ReadonlySet<Action>
  /** Called as each key is observed, with how many are; with 0 before the first. */
  readonly onRow?: (finished: number, total: number) => void
  readonly patience?: Patience
  /** Tokens that this process could use before: one of them that is not found is not another site's. */
  readonly reached?: ReadonlySet<string | null>
}

/** For who cannot wait for every answer. */
export interface Patience {
  /** Resolves when tokens, and when KMS, are no longer waited for. */
  readonly tokens: Promise<unknown>
  readonly keys: Promise<unknown>
  /** Called as something is asked, in words; what it gives is called once that has answered. */
  readonly waits: (what: string) => () => void
}

/** One key as it was observed, what follows, and the row that says so. */
export interface SurveyedKey {
  readonly snapshot: Snapshot
  readonly decision: Decision
  readonly row: DecisionRow
}

/** Whether a token could be searched. */
export interface TokenSurvey {
  /** Of the manifest; null for the one that flags give. */
  readonly name: string | null
  readonly state: "looked at" | "not given" | "not reached from here" | "failed"
  readonly message: string | null
}

/** A token that was searched, and what it holds. */
export interface SearchedToken {
  readonly name: string | null
  readonly content: TokenContent
}

interface TokensSurvey {
  readonly tokens: readonly TokenSurvey[]
  readonly searched: readonly SearchedToken[]
  /** Of the token that could not be searched; OK where all that are given could. */
  readonly tokenExit: ExitName
}

export interface Survey extends TokensSurvey {
  readonly keys: readonly SurveyedKey[]
  /** Keys about which KMS did not answer while it was waited for. */
  readonly unanswered: readonly FleetKey[]
}

/** Observes every key and decides, and changes nothing but what is known of deletions. Works without a token: its side is not known then. */
export async function survey(fleet: Fleet, keys: readonly FleetKey[], options: SurveyOptions): Promise<Survey> {
  const sources = sourceIndex(fleet, { withSealed: false, ofMany: keys.length >= MANY })
  const { patience } = options
  const tokens = await surveyTokens(fleet, { sources, keys }, options)
  const { observe } = observer(fleet, sources)
  const surveyed: SurveyedKey[] = []
  let finished = 0
  let isOver = false
  options.onRow?.(finished, keys.length)
  // the lanes take from one iterator: each key is observed once
  const remaining = keys.entries()
  const lane = async (): Promise<void> => {
    for (const [index, key] of remaining) {
      const answered = patience?.waits(`KMS of ${key.binding.target}`)
      const snapshot = await observe(key, options.depth)
      answered?.()
      if (isOver) return
      const decision = plan(snapshot, options)
      surveyed[index] = { snapshot, decision, row: decisionRow(snapshot, decision, outcomeOf(decision, options)) }
      finished += 1
      options.onRow?.(finished, keys.length)
    }
  }
  const lanes = Promise.all(Array.from({ length: SURVEY_WIDTH }, lane))
  await Promise.race([lanes, ...(patience === undefined ? [] : [patience.keys])])
  isOver = true
  // whatever becomes of those that nobody waits for
  lanes.catch(() => undefined)
  const seen = Object.values(surveyed)
  await rememberDeletions(
    fleet,
    seen.map(({ snapshot }) => snapshot),
  )
  return { keys: seen, unanswered: keys.filter((_, index) => surveyed[index] === undefined), ...tokens }
}

async function surveyTokens(
  fleet: Pick<Fleet, "heldWork">,
  { sources, keys }: { readonly sources: SourceIndex; readonly keys: readonly FleetKey[] },
  { patience, reached = new Set() }: Pick<SurveyOptions, "patience" | "reached">,
): Promise<TokensSurvey> {
  const tokens: TokenSurvey[] = []
  const searched: SearchedToken[] = []
  let tokenExit: ExitName = "OK"
  for (const name of new Set(keys.map(({ binding }) => binding.token))) {
    const answered = patience?.waits(name === null ? "the token" : `token ${name}`)
    try {
      const content = await inTime(sources.content(name), patience?.tokens)
      if (content !== null) searched.push({ name, content })
      tokens.push({ name, state: content === null ? "not given" : "looked at", message: null })
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error
      const { code, message, exit } = error
      const isElsewhere = fleet.heldWork !== null && !reached.has(name) && mayBeElsewhere(name, code)
      tokens.push({ name, state: isElsewhere ? "not reached from here" : "failed", message })
      if (!isElsewhere) tokenExit = exit
    } finally {
      answered?.()
    }
  }
  return { tokens, searched, tokenExit }
}

/**
 * Whether a token that cannot be used here may be another site's, where several share one configuration: neither the
 * token nor its module is here. What is here and fails is nobody else's.
 *
 * @param name of the manifest; null for the one that flags give
 */
export const mayBeElsewhere = (name: string | null, code: ErrorCode): boolean =>
  name !== null && (code === "ERR_TOKEN_NOT_FOUND" || code === "ERR_MODULE_UNUSABLE")

/** @throws ERR_TOKEN_HANGS where it is no longer waited for */
async function inTime<T>(answer: Promise<T>, end: Promise<unknown> | undefined): Promise<T> {
  if (end === undefined) return await answer
  const late = end.then(() => {
    throw new KeyferryError("ERR_TOKEN_HANGS", "it did not answer in time")
  })
  // one of the two is not heard
  for (const promise of [answer, late]) promise.catch(() => undefined)
  return await Promise.race([answer, late])
}

function outcomeOf({ action }: Decision, { actions }: SurveyOptions): Outcome {
  if (action === "blocked") return "blocked"
  return actions.has(action) ? "planned" : "nothing"
}

/** How long the planned work takes at the quotas: targets are worked on at the same time. */
export function secondsAtQuota(fleet: Pick<Fleet, "quotasOf">, keys: readonly Pick<SurveyedKey, "row">[]): number {
  const requestsByTarget = new Map<string, Record<string, number>>()
  for (const { row } of keys) {
    if (row.outcome !== "planned") continue
    const requests = requestsByTarget.get(row.target) ?? {}
    for (const [operation, count] of Object.entries(row.costs)) {
      requests[operation] = (requests[operation] ?? 0) + count
    }
    requestsByTarget.set(row.target, requests)
  }
  const seconds = [...requestsByTarget].map(([target, requests]) => estimate(requests, fleet.quotasOf(target)))
  return Math.ceil(Math.max(0, ...seconds))
}
