import { type ClockState, createClock, machineTime, parseClock } from "../state/clock.js"
import { AWS_QUOTAS } from "./quotas.js"
import { createService, newSecret, type Service } from "./service.js"
import { emptyRegion, type State } from "../state/state.js"
import { OldStateError, readState, writeState } from "../state/state-file.js"
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
const REGION = /^[a-z]{2}(-[a-z]+)+-\d+$/

/** Brings the service up from its options and its state file. */
export function openService(options: LocalKmsOptions): {
  readonly service: Service
  readonly warnings: readonly string[]
} {
  const { stateFile, account = "111122223333", regions: names = ["us-east-1"] } = options
  const malformed = names.find((name) => !REGION.test(name))
  if (malformed !== undefined || names.length === 0) {
    throw new OptionError("regions", `not a Region: ${malformed ?? "none"}`)
  }
  if (!/^\d{12}$/.test(account)) throw new OptionError("account", `not an account number: ${account}`)

  const stored = stateFile === undefined ? undefined : load(stateFile)
  const state: State = stored?.state ?? { account, secret: newSecret(), regions: new Map() }
  if (options.account !== undefined && options.account !== state.account) {
    throw new OptionError("account", `the state is that of account ${state.account}`)
  }
  for (const name of names) {
    if (!state.regions.has(name)) state.regions.set(name, emptyRegion(name, state.account))
  }
  const clock = createClock(startOf(options.clock) ?? stored?.clock)
  const save = (): void => {
    if (stateFile !== undefined) writeState(stateFile, state, clock.state())
  }
  save()
  const regions = new Map([...state.regions].filter(([name]) => names.includes(name)))
  const service = createService({
    state,
    regions,
    clock,
    rates: options.quotas === "aws" ? AWS_QUOTAS : {},
    rotationTime: (options.rotationSeconds ?? ROTATION_SECONDS) * 1000,
    replicationTime: (options.replicationSeconds ?? REPLICATION_SECONDS) * 1000,
    wrappingKeys: options.freshWrappingKeys === true ? freshWrappingKeys() : sharedWrappingKeys(),
    save,
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

function load(file: string) {
  try {
    return readState(file)
  } catch (error) {
    throw new OptionError(
      "stateFile",
      error instanceof OldStateError ? error.message : `${file} is no state of a local KMS (${String(error)})`,
    )
  }
}
