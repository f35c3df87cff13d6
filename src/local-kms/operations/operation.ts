import type { KeyUsage } from "../../core/key/key-spec.js"
import { findKey } from "../state/find-key.js"
import { requireState, type StateRow } from "../state/key-state.js"
import { documented, recorded } from "../protocol/refusal.js"
import { type Fields, flag, listOf, readRequest, type RequestOf, required, text } from "../protocol/request.js"
import type { ServedRegions } from "../state/regions.js"
import type { Key, Region, State } from "../state/state.js"
import type { Changes } from "../state/state-file.js"
import type { WrappingKeys } from "../crypto/wrapping-keys.js"

/** What an operation may look at besides its request. */
export interface Context {
  readonly state: State
  readonly region: Region
  readonly regions: ServedRegions
  /** Milliseconds since 1970 by the service's clock, which is read once for each request. */
  readonly now: number
  readonly requestId: string
  /** How long, in milliseconds, a new key or alias stays out of the lists. */
  readonly lag: number
  /** How long an on-demand rotation takes, in milliseconds. */
  readonly rotationTime: number
  /** How long a new replica is being created and a change of the primary Region is under way, in milliseconds. */
  readonly replicationTime: number
  readonly wrappingKeys: WrappingKeys
  readonly changes: Changes
  /** Takes so many requests from a quota of a Region, in which the operation acts besides its own; false if it has not as many. */
  readonly spend: (region: Region, operation: string, count: number) => boolean
}

type Answer = object | Promise<object>

/** A row of the table of operations. */
export interface Operation {
  readonly run: (context: Context, body: unknown) => Answer
}

export const KEY_ID = text({ max: 2048 })
const GRANT_TOKENS = listOf(text({ max: 8192 }), { min: 0, max: 10 })

interface Row<F extends Fields> {
  readonly request: F
  readonly run: (context: Context, request: RequestOf<F>) => Answer
}

/** An operation that names no key, or finds its key itself; it tells `context.changes` what it changes. */
export function operation<const F extends Fields>({ request, run }: Row<F>): Operation {
  return { run: (context, body) => run(context, readRequest(request, body)) }
}

interface KeyRow<F extends Fields> {
  /** Whether KeyId may be an alias. */
  readonly aliases?: "aliases" | "no-aliases"
  /** The row of the key state table. */
  readonly state: StateRow
  /** The members besides KeyId. */
  readonly request: F
  /** Whether it changes the key. */
  readonly mutates?: boolean
  readonly run: (key: Key, request: RequestOf<F>, context: Context) => Answer
}

/** An operation on the key that KeyId names, which must be in a state that allows it. */
export function keyOperation<const F extends Fields>(row: KeyRow<F>): Operation {
  const { aliases = "no-aliases", mutates = false } = row
  const fields = { ...row.request, KeyId: required(KEY_ID) }
  return {
    async run(context, body) {
      const request = readRequest(fields, body)
      const { KeyId } = request as { readonly KeyId: string }
      const key = findKey(context, KeyId, aliases)
      requireState(key, row.state)
      const answer = await row.run(key, request, context)
      if (mutates) context.changes.ofSet(key.set)
      return answer
    },
  }
}

/** Members that every cryptographic operation has. */
export const USE_FIELDS = { GrantTokens: GRANT_TOKENS, DryRun: flag() }

interface UseRow<F extends Fields> {
  readonly name: string
  readonly usage: KeyUsage
  readonly request: F
  readonly run: (key: Key, request: RequestOf<F>) => Answer
}

/** A cryptographic operation with the key that KeyId names: key ID, key ARN or alias. */
export function useOperation<const F extends Fields>({ name, usage, request, run }: UseRow<F>): Operation {
  return keyOperation({
    aliases: "aliases",
    state: "use",
    request: { ...request, ...USE_FIELDS },
    async run(key, all, context) {
      requireUsage(key, usage, name)
      const answer = await run(key, all)
      if ((all as { DryRun?: boolean }).DryRun === true) throw recorded.dryRun()
      used(key, name, context)
      return answer
    },
  })
}

/** What GetKeyLastUsage tells. It is written down with the key's next change: a use alone costs no write. */
export function used(key: Key, operationName: string, { now, requestId }: Context): void {
  key.lastUse = { operation: operationName, at: now, requestId }
}

export function requireUsage(key: Key, usage: KeyUsage, operationName: string): void {
  if (key.keyUsage !== usage) throw documented.wrongUsage(key.arn, key.keyUsage, operationName)
}
