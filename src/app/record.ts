import { KeyferryError } from "../core/base/error.js"
import {
  type CustodyEvent,
  type CustodyEventName,
  eventRow,
  type Fact,
  type FactName,
  type Telling,
} from "../core/records/custody-event.js"
import type { TokenInfo } from "../core/token/token-info.js"
import type { Deps } from "./deps.js"

export type RecordDeps = Pick<Deps, "custodyLog" | "progress" | "log">

/** What is recorded of one step, besides which event it is. */
export interface Step<E extends CustodyEventName> {
  /** Whose key it is: an entry of the inventory, or as much of one as is known. */
  readonly key: {
    readonly owner?: string
    readonly name?: string
    readonly target?: string
    readonly keyArn?: string | null
    readonly source?: NonNullable<CustodyEvent["source"]>
  }
  /** The KMS key, where it is another than the entry's, as that of a replica. */
  readonly keyArn?: string | undefined
  readonly token?: TokenInfo | null
  /** What is undefined is not said. */
  readonly facts?: Readonly<Partial<Record<FactName<E>, Fact | undefined>>>
}

/**
 * Says everywhere that a step is about to be done or was done, as the event's row has it: in the custody log, which is
 * durable when this returns, to people, and in the log.
 *
 * @returns what people were told; empty where it goes without saying
 * @throws ERR_STATE_WRITE
 */
export async function record<E extends CustodyEventName>(deps: RecordDeps, event: E, step: Step<E>): Promise<string> {
  const facts: Readonly<Record<string, Fact | undefined>> = step.facts ?? {}
  const line = custodyEvent(event, step, facts)
  await deps.custodyLog.append(line)
  const { log, words } = eventRow(event)
  if (log !== undefined) {
    const { name, target, keyArn, source } = line
    deps.log.event(log, { name, target, keyArn, generation: source?.generation, ...facts })
  }
  const text = words?.(telling(line, facts)) ?? ""
  if (text !== "") deps.progress.step(text)
  return text
}

/** Records that what was begun failed, as well as that can be done: what it failed with is what its caller throws. */
export async function recordFailure(
  deps: RecordDeps,
  event: "import.failed" | "kms-key.ending-failed",
  { error, ...step }: Step<"import.failed" | "kms-key.ending-failed"> & { readonly error: unknown },
): Promise<void> {
  const code = error instanceof KeyferryError ? error.code : "ERR_BUG"
  try {
    await record(deps, event, { ...step, facts: { ...step.facts, code } })
  } catch {
    // the first failure counts
  }
}

function custodyEvent<E extends CustodyEventName>(
  event: E,
  { key, keyArn = key.keyArn ?? undefined, token }: Step<E>,
  facts: Readonly<Record<string, Fact | undefined>>,
): CustodyEvent {
  const { owner, name, target, source } = key
  const logged: Record<string, Fact> = {}
  for (const fact of eventRow(event).facts) {
    const value = facts[fact]
    if (value !== undefined) logged[fact] = value
  }
  return {
    event,
    ...(owner === undefined ? {} : { owner }),
    ...(name === undefined ? {} : { name }),
    ...(target === undefined ? {} : { target }),
    ...(keyArn === undefined ? {} : { keyArn }),
    ...(source === undefined ? {} : { source: { generation: source.generation, id: source.id, label: source.label } }),
    ...(token == null ? {} : { token }),
    ...(Object.keys(logged).length === 0 ? {} : { facts: logged }),
  }
}

function telling(
  { name = "", target = "", keyArn = "", source }: CustodyEvent,
  facts: Readonly<Record<string, Fact | undefined>>,
): Telling {
  const { id = "", label = "", generation = 0 } = source ?? {}
  const fact = (named: string): string => {
    const value = facts[named] ?? ""
    return typeof value === "object" ? value.join(" + ") : String(value)
  }
  return { name, target, keyArn, id, label, generation, fact }
}
