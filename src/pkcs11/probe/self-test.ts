import { KeyferryError } from "../../core/base/error.js"
import { KEY_SPECS, type KeySpec, WRAPPING_KEY_SPECS } from "../../core/key/key-spec.js"
import type { WrapCapability, WrapRequest } from "../../core/key/wrapping.js"
import { kmsAllows, WRAPPING_ALGORITHMS } from "../../core/key/wrapping-algorithm.js"
import { failureText, refusalOf } from "../cryptoki/errors.js"
import { MECHANISMS } from "../cryptoki/mechanisms.js"
import type { SessionPool } from "../session/pool.js"
import { plansOf, type WrapPlan, wrapUnder } from "../wrap/wrap.js"
import { openKwp, openOaep, type Opened } from "./opened.js"
import { probeScalars, type ScalarFinding } from "./scalars.js"
import { type LocalPair, localPair, makeSample, type Probe, type Sample, withProbe } from "./throw-away.js"

/** A verdict, and whether it may be remembered: a passing fault of the token says nothing about a path. */
export interface Verdict {
  readonly capability: WrapCapability
  readonly conclusive: boolean
}

/** Keys of one spec that are tried before a path counts as undecided. */
const MAX_SAMPLES = 6

interface Attempt {
  /** In words; null if the path passed. */
  readonly flaw: string | null
  readonly conclusive: boolean
}

/**
 * Wraps throw-away keys of the token under RSA pairs made here, opens the results with node:crypto and compares
 * (invariant I9). Neither a mechanism list nor CKR_OK is believed. One verdict a request; key specs run side by side.
 *
 * @param mechanisms what the token lists, for the words of a refusal
 * @throws ERR_TOKEN_UNAVAILABLE where the token goes away
 */
export async function selfTest(
  pool: SessionPool,
  requests: readonly WrapRequest[],
  mechanisms: ReadonlySet<number>,
): Promise<readonly Verdict[]> {
  const verdicts = new Map<WrapRequest, Verdict>()
  const specs = new Set(requests.filter(allowed).map(({ keySpec }) => keySpec))
  await Promise.all(
    [...specs].map((keySpec) =>
      withProbe(pool, async (probe) => {
        const samples = new Samples(() => makeSample(probe, keySpec))
        const native = mechanisms.has(MECHANISMS.CKM_RSA_AES_KEY_WRAP)
        const trial = { probe, samples, native, scalars: new Map() }
        for (const request of requests) {
          if (request.keySpec !== keySpec || !allowed(request)) continue
          verdicts.set(request, await judge(trial, request))
        }
      }),
    ),
  )
  return requests.map((request) => verdicts.get(request) ?? refusedByKms(request))
}

const allowed = ({ keySpec, wrappingAlgorithm, wrappingKeySpec }: WrapRequest): boolean =>
  kmsAllows(keySpec, wrappingAlgorithm, wrappingKeySpec)

/** The verdict on what KMS itself does not take; the token is not asked. */
export function refusedByKms(request: WrapRequest): Verdict {
  const { keySpec, wrappingAlgorithm, wrappingKeySpec } = request
  const elsewhere = Object.keys(WRAPPING_KEY_SPECS).some((spec) =>
    kmsAllows(keySpec, wrappingAlgorithm, spec as WrapRequest["wrappingKeySpec"]),
  )
  const underSpec = elsewhere ? ` under ${wrappingKeySpec}` : ""
  return refusal(request, `KMS does not take ${keySpec} by ${wrappingAlgorithm}${underSpec}`, true)
}

/** Throw-away keys of one spec, made when they are asked for and used for every path. */
class Samples {
  readonly #make: () => Promise<Sample>
  readonly #made: Sample[] = []

  constructor(make: () => Promise<Sample>) {
    this.#make = make
  }

  async get(index: number): Promise<Sample> {
    const sample = this.#made[index] ?? (await this.#make())
    this.#made[index] = sample
    return sample
  }

  /** Brings a sample that decides to the front, for the paths that follow. */
  prefer(sample: Sample): void {
    this.#made.sort((a, b) => Number(b === sample) - Number(a === sample))
  }
}

/** What the paths of one key spec are tried with. */
interface Trial {
  readonly probe: Probe
  readonly samples: Samples
  /** Whether the token lists CKM_RSA_AES_KEY_WRAP. */
  readonly native: boolean
  /** By the mechanism that carries the material, which neither hash nor size of the wrapping key changes. */
  readonly scalars: Map<string, ScalarFinding>
}

async function judge(trial: Trial, request: WrapRequest): Promise<Verdict> {
  try {
    await trial.samples.get(0)
  } catch (error) {
    const [cause] = refusalOf(error).causes
    const words = cause?.message.startsWith("C_GenerateKey") ? `cannot generate: ${cause.code}` : failure(error)
    return refusal(request, words, isConclusive(error))
  }
  const pair = await localPair(request.wrappingKeySpec)
  const plans = plansOf(request.wrappingAlgorithm, trial.probe.session.profile, { native: trial.native })
  const flaws: string[] = []
  let conclusive = true
  let shortening: WrapPlan | undefined
  for (const plan of plans) {
    const attempt = await tryPath(trial, { keySpec: request.keySpec, pair, plan })
    const { flaw } = attempt.flaw === null ? await tryScalars(trial, { keySpec: request.keySpec, pair, plan }) : attempt
    if (flaw === null) return { capability: passed(request, plan), conclusive: true }
    if (attempt.flaw === null) shortening ??= plan
    flaws.push(flaw)
    conclusive &&= attempt.conclusive
  }
  const reason = [...new Set(flaws)].join("; ")
  if (shortening === undefined) return refusal(request, reason, conclusive)
  const capability = { ...passed(request, shortening), usable: false, shortScalars: true, reason }
  return { capability, conclusive: true }
}

interface PathTrial {
  readonly keySpec: KeySpec
  readonly pair: LocalPair
  readonly plan: WrapPlan
}

/** Whether a path that is right for a key at hand is right for EC private keys of every value; in words what is not. */
async function tryScalars(
  { probe, scalars }: Trial,
  { keySpec, pair, plan }: PathTrial,
): Promise<{ readonly flaw: string | null }> {
  if (KEY_SPECS[keySpec].family !== "ec") return { flaw: null }
  const name = carrier(plan)
  const finding =
    scalars.get(name) ??
    (await probeScalars(probe, keySpec, async (key) =>
      openPath(await wrapUnder(probe.session, { key, publicKey: pair, plan }), pair, plan),
    ))
  scalars.set(name, finding)
  return { flaw: finding.flaw === null ? null : `${name} ${finding.flaw}` }
}

/**
 * Tries one path until a sample decides it: a token that fills the value up to whole blocks is right by luck where the
 * length is a multiple of 8, and the length of an RSA PKCS #8 differs from key to key.
 */
async function tryPath({ probe, samples }: Trial, { keySpec, pair, plan }: PathTrial): Promise<Attempt> {
  const varies = KEY_SPECS[keySpec].family === "rsa"
  for (let index = 0; index < MAX_SAMPLES; index++) {
    let opened: Opened
    let sample: Sample
    try {
      sample = await samples.get(index)
      opened = openPath(await wrapUnder(probe.session, { key: sample.object, publicKey: pair, plan }), pair, plan)
    } catch (error) {
      return { flaw: failure(error), conclusive: isConclusive(error) }
    }
    if ("flaw" in opened) return { flaw: opened.flaw, conclusive: true }
    const flaw = sample.flaw(opened.value)
    if (flaw !== null) return { flaw: `${carrier(plan)} ${flaw}`, conclusive: true }
    if (!varies || opened.value.length % 8 !== 0) {
      samples.prefer(sample)
      return { flaw: null, conclusive: true }
    }
  }
  const flaw = `${MAX_SAMPLES} keys all had a length at which ${carrier(plan)} cannot be told from one that pads; run it again`
  return { flaw, conclusive: false }
}

const OAEP = "CKM_RSA_PKCS_OAEP"
const NATIVE = "CKM_RSA_AES_KEY_WRAP"

/** The mechanism that takes the material itself. */
function carrier({ path, kwp }: WrapPlan): string {
  return path === "native" ? NATIVE : (kwp ?? OAEP)
}

/** Opens what a path gave with the private key made here, as KMS will. */
export function openPath(bytes: Buffer, pair: LocalPair, plan: WrapPlan): Opened {
  const { hash } = WRAPPING_ALGORITHMS[plan.algorithm]
  const [outer, inner] = plan.path === "native" ? [NATIVE, NATIVE] : [OAEP, carrier(plan)]
  if (plan.path === "oaep") return named(OAEP, openOaep(bytes, pair.privateKey, hash))
  const oaepBytes = WRAPPING_KEY_SPECS[pair.spec].modulusBits / 8
  const head = named(outer, openOaep(bytes.subarray(0, oaepBytes), pair.privateKey, hash))
  if ("flaw" in head) return head
  if (head.value.length !== 32) return { flaw: `${outer} gives ${head.value.length} bytes of the 32 of the AES key` }
  return named(inner, openKwp(bytes.subarray(oaepBytes), head.value))
}

function named(mechanism: string, opened: Opened): Opened {
  return "flaw" in opened ? { flaw: `${mechanism} ${opened.flaw}` } : opened
}

function passed(request: WrapRequest, plan: WrapPlan): WrapCapability {
  const mechanisms = plan.path === "composed" ? [plan.kwp, OAEP] : [carrier(plan)]
  return {
    ...request,
    wrapPath: plan.path,
    mechanisms,
    usable: true,
    shortScalars: false,
    reason: "opened outside the token: hash, padding and length are exact",
  }
}

function refusal(request: WrapRequest, reason: string, conclusive: boolean): Verdict {
  const unusable = { wrapPath: null, mechanisms: [], usable: false, shortScalars: false, reason }
  return { capability: { ...request, ...unusable }, conclusive }
}

/** A failing call in words; throws on where the token is gone. */
export function failure(error: unknown): string {
  const { causes, message } = refusalOf(error)
  return causes[0]?.message === "C_WrapKey" ? message : failureText(error)
}

/** Whether a failure belongs to the path, and not to the token's state of the moment. */
function isConclusive(error: unknown): boolean {
  return error instanceof KeyferryError && error.retry !== "later" && error.code !== "ERR_TOKEN_FULL"
}
