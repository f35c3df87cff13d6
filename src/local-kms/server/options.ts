import { type PolicyDocuments, policyBook, readPolicies } from "../access/policy-book.js"
import { type ClockState, createClock, machineTime, parseClock } from "../state/clock.js"
import { AWS_QUOTAS } from "./quotas.js"
import { createService, newSecret, type Service } from "./service.js"
import { isRegionName, servedRegions } from "../state/regions.js"
import type { State } from "../state/state.js"
import { openStateFile, UNWRITTEN } from "../state/state-file.js"
import { freshWrappingKeys, sharedWrappingKeys } from "../crypto/wrapping-keys.js"

export interface LocalKmsOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number
  /** Address to listen on; loopback unless said otherwise. */
  readonly listen?: string
  /** Where the state is kept; without it, in memory only. */
  readonly stateFile?: string
  /** ISO 8601 instant at which the clock starts, or an offset such as `+90d`. */
  readonly clock?: string
  /** The Regions that are served; whichever a request is signed for where it is left out. */
  readonly regions?: readonly string[]
  readonly account?: string
  /** `aws` enforces the documented request quotas; `off` is the default. */
  readonly quotas?: "aws" | "off"
  /** How long an on-demand rotation takes. */
  readonly rotationSeconds?: number
  /** How long a new replica is `Creating`, and both keys `Updating` when the primary Region changes. */
  readonly replicationSeconds?: number
  /** Makes a new wrapping key for every GetParametersForImport, as the real service does. */
  readonly freshWrappingKeys?: boolean
  /** A file with a policy of IAM for everyone, or a folder of them by role and access key ID: then policies are enforced. */
  readonly enforcePolicies?: string
}

/** An option that makes no sense. */
export class OptionError extends Error {
  override readonly name = "OptionError"
  readonly option: keyof LocalKmsOptions

  constructor(option: keyof LocalKmsOptions, message: string) {
    super(message)
    this.option = option
  }
}

/** Seconds that two recorded rotations took, about. */
const ROTATION_SECONDS = 150
/** The guide says a few seconds. */
const REPLICATION_SECONDS = 2

/** Brings the service up from its options and its state file. @throws OptionError, StateFileError */
export async function openService(options: LocalKmsOptions): Promise<{
  readonly service: Service
  readonly warnings: readonly string[]
}> {
  const { stateFile, account = "111122223333", regions: names } = options
  const malformed = names?.find((name) => !isRegionName(name))
  if (malformed !== undefined || names?.length === 0) {
    throw new OptionError("regions", `not a Region: ${malformed ?? "none"}`)
  }
  if (!/^\d{12}$/.test(account)) throw new OptionError("account", `not an account number: ${account}`)

  const policies = options.enforcePolicies === undefined ? null : await policiesOf(options.enforcePolicies)
  const start = startOf(options.clock)
  const file = stateFile === undefined ? undefined : await openStateFile(stateFile)
  const state: State = file?.restored?.state ?? { account, secret: newSecret(), regions: new Map() }
  if (options.account !== undefined && options.account !== state.account) {
    throw new OptionError("account", `the state is that of account ${state.account}`)
  }
  const clock = createClock(start ?? file?.restored?.clock)
  const service = createService({
    state,
    regions: servedRegions(state, names ?? null),
    clock,
    rates: options.quotas === "aws" ? AWS_QUOTAS : {},
    rotationTime: (options.rotationSeconds ?? ROTATION_SECONDS) * 1000,
    replicationTime: (options.replicationSeconds ?? REPLICATION_SECONDS) * 1000,
    wrappingKeys: options.freshWrappingKeys === true ? freshWrappingKeys() : sharedWrappingKeys(),
    changes: file?.keep(state, clock) ?? UNWRITTEN,
    policies,
  })
  const warnings = ["local-kms is for tests: it verifies no signature, and keys in it are not safe"]
  if (stateFile !== undefined) warnings.push(`${stateFile} holds plaintext keys`)
  return { service, warnings }
}

function startOf(text: string | undefined): ClockState | undefined {
  if (text === undefined) return undefined
  const clock = parseClock(text, machineTime())
  if (clock === undefined)
    throw new OptionError("clock", `neither an ISO 8601 instant nor an offset such as +90d: ${text}`)
  return clock
}

/** What is wrong with a policy is said before it listens. */
async function policiesOf(path: string): Promise<PolicyDocuments> {
  try {
    const documents = await readPolicies(path)
    policyBook(documents)
    return documents
  } catch (error) {
    const { message } = error as Error
    throw new OptionError("enforcePolicies", `policies that cannot be enforced: ${message}`)
  }
}
