import type { PolicyDocuments } from "../access/policy-book.js"
import { PolicyError } from "../access/policy-text.js"
import { parseInstant } from "../state/clock.js"
import { KmsError } from "../protocol/error.js"
import { FAULT_KIND_NAMES } from "./faults.js"
import { AWS_QUOTAS } from "./quotas.js"
import { documented } from "../protocol/refusal.js"
import {
  type Fields,
  flag,
  oneOf,
  readRequest,
  type RequestOf,
  required,
  text,
  wholeNumber,
} from "../protocol/request.js"
import type { Service } from "./service.js"

type Handler = (service: Service, body: unknown) => object

function route<const F extends Fields>(fields: F, run: (service: Service, request: RequestOf<F>) => object): Handler {
  return (service, body) => run(service, readRequest(fields, body))
}

const MAX_SECONDS = 10 * 365 * 86_400
const INSTANT = text({ max: 40 })

const clockView = ({ clock }: Service) => ({
  now: new Date(clock.now()).toISOString(),
  ticking: clock.state().frozenAt === undefined,
})

const putClock = route(
  { set: INSTANT, advance: wholeNumber(-MAX_SECONDS, MAX_SECONDS), ticking: flag() },
  (service, { set, advance, ticking }) => {
    const { clock } = service
    const instant = set === undefined ? undefined : parseInstant(set)
    if (set !== undefined && instant === undefined) throw documented.invalid("set takes an ISO 8601 instant")
    if (instant !== undefined) clock.set(instant)
    if (advance !== undefined) clock.advance(advance * 1000)
    if (ticking === true) clock.tick()
    if (ticking === false) clock.freeze()
    service.changes.ofAll()
    return clockView(service)
  },
)

const PRESETS = { aws: AWS_QUOTAS, off: {} } as const

/** Rates are numbers, fractions too, so they are read here instead of by a field. */
function readRates(value: unknown): Record<string, number> {
  const entries = Object.entries((value ?? {}) as Record<string, unknown>)
  return Object.fromEntries(
    entries.map(([name, rate]) => {
      if (typeof rate !== "number" || !(rate > 0)) throw documented.invalid(`rates.${name} must be a positive number`)
      return [name, rate]
    }),
  )
}

const putQuotas = route(
  { preset: oneOf(["aws", "off"]), rates: { required: false, read: readRates } },
  ({ quotas }, { preset, rates }) => {
    quotas.setRates({ ...(preset === undefined ? quotas.rates() : PRESETS[preset]), ...rates })
    return { rates: quotas.rates() }
  },
)

const postFault = route(
  {
    kind: required(oneOf(FAULT_KIND_NAMES)),
    operation: text({ max: 64 }),
    region: text({ max: 32 }),
    count: wholeNumber(1, 1_000_000),
    skip: wholeNumber(0, 1_000_000),
    milliseconds: wholeNumber(0, 600_000),
    name: text({ max: 128 }),
    message: text({ min: 0, max: 4096 }),
    status: wholeNumber(400, 599),
    effect: flag(),
  },
  ({ faults }, { operation = "*", count = 1, skip = 0, ...effect }) =>
    faults.add({ ...effect, operation, count, skip }),
)

const seconds = { seconds: required(wholeNumber(0, MAX_SECONDS)) }

/** By role or access key ID, each a policy or a list of them. */
function readDocuments(json: unknown): PolicyDocuments {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw documented.invalid("policies is an object: role or access key ID, and a policy or a list of them")
  }
  return Object.fromEntries(Object.entries(json).map(([name, list]: [string, unknown]) => [name, [list].flat()]))
}

const putPolicies = route(
  { policies: required({ required: false, read: readDocuments }) },
  ({ policies: book }, { policies }) => {
    try {
      book.put(policies)
    } catch (error) {
      throw error instanceof PolicyError ? documented.invalid(error.message) : error
    }
    return { policies: book.documents() }
  },
)

const HANDLERS: Readonly<Record<string, Handler>> = {
  "GET /_admin/clock": clockView,
  "PUT /_admin/clock": putClock,
  "GET /_admin/quotas": ({ quotas }) => ({ rates: quotas.rates() }),
  "PUT /_admin/quotas": putQuotas,
  "GET /_admin/faults": ({ faults }) => ({ faults: faults.list() }),
  "POST /_admin/faults": postFault,
  "DELETE /_admin/faults": ({ faults }) => {
    faults.clear()
    return { faults: [] }
  },
  "GET /_admin/lag": ({ settings }) => ({ seconds: settings.lag / 1000 }),
  "PUT /_admin/lag": route(seconds, ({ settings }, request) => {
    settings.lag = request.seconds * 1000
    return request
  }),
  "GET /_admin/rotation": ({ settings }) => ({ seconds: settings.rotationTime / 1000 }),
  "PUT /_admin/rotation": route(seconds, ({ settings }, request) => {
    settings.rotationTime = request.seconds * 1000
    return request
  }),
  "GET /_admin/replication": ({ settings }) => ({ seconds: settings.replicationTime / 1000 }),
  "PUT /_admin/replication": route(seconds, ({ settings }, request) => {
    settings.replicationTime = request.seconds * 1000
    return request
  }),
  "GET /_admin/requests": ({ requests }) => requests.counts(),
  "DELETE /_admin/requests": ({ requests }) => {
    requests.clear()
    return requests.counts()
  },
  "GET /_admin/policies": ({ policies }) => ({ policies: policies.documents() }),
  "PUT /_admin/policies": putPolicies,
  "DELETE /_admin/policies": ({ policies }) => {
    policies.put(null)
    return { policies: null }
  },
  "POST /_admin/reset": (service) => {
    reset(service)
    return {}
  },
}

/** Forgets keys, aliases, faults, counts and lag; clock, quotas and policies stay as they are. */
function reset({ state, faults, requests, settings, changes }: Service): void {
  for (const region of state.regions.values()) {
    region.keys.clear()
    region.aliases.clear()
    region.wrappingKeys.clear()
    region.deletions.clear()
  }
  faults.clear()
  requests.clear()
  settings.lag = 0
  changes.ofAll()
}

/**
 * Answers a request to a route such as `GET /_admin/clock`; throws a KmsError for one that is not there or a body that
 * is wrong.
 */
export function callAdmin(service: Service, routeName: string, body: string): object {
  const handler = HANDLERS[routeName]
  if (handler === undefined) throw new KmsError("NotFound", `no ${routeName}`, 404)
  return handler(service, parseJson(body))
}

function parseJson(body: string): unknown {
  try {
    return body === "" ? {} : JSON.parse(body)
  } catch {
    throw documented.invalid("the body is not JSON")
  }
}
