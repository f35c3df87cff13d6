import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, randomUUID } from "node:crypto"
import { promisify } from "node:util"
import { WRAPPING_KEY_SPECS, type WrappingKeySpec } from "../../core/key/key-spec.js"
import type { Region, WrappingKey } from "../state/state.js"

const generate = promisify(generateKeyPair)

/** How many pairs of each spec and Region take turns, unless every request gets its own. */
const SET_SIZE = 2

/** For how long a pair is lent, in milliseconds since 1970. */
export interface LoanPeriod {
  readonly now: number
  readonly until: number
}

/** Lends RSA pairs for import. Making one takes up to seconds, so they are made ahead and, by default, used in turn. */
export interface WrappingKeys {
  /** A pair that will be needed for that period; waits for the first of its spec. */
  lend(region: Region, spec: WrappingKeySpec, period: LoanPeriod): Promise<WrappingKey>
}

async function makePair(spec: WrappingKeySpec): Promise<WrappingKey> {
  const pair = await generate("rsa", {
    modulusLength: WRAPPING_KEY_SPECS[spec].modulusBits,
    publicExponent: 65537,
    publicKeyEncoding: { format: "pem", type: "spki" },
    privateKeyEncoding: { format: "pem", type: "pkcs8" },
  })
  return { id: randomUUID(), spec, privateKey: pair.privateKey, publicKey: pair.publicKey, neededUntil: 0 }
}

function lendTo(region: Region, pair: WrappingKey, { now, until }: LoanPeriod): WrappingKey {
  for (const old of region.wrappingKeys.values()) if (old.neededUntil <= now) region.wrappingKeys.delete(old.id)
  pair.neededUntil = Math.max(pair.neededUntil, until)
  region.wrappingKeys.set(pair.id, pair)
  return pair
}

/** Reading PEM takes as long as some of the work that is done with it. */
const parsed = new WeakMap<WrappingKey, { readonly privateKey: KeyObject; readonly spki: Buffer }>()

function parse(pair: WrappingKey) {
  const cached = parsed.get(pair)
  if (cached !== undefined) return cached
  const spki = createPublicKey(pair.publicKey).export({ format: "der", type: "spki" })
  const keys = { privateKey: createPrivateKey(pair.privateKey), spki }
  parsed.set(pair, keys)
  return keys
}

/** SubjectPublicKeyInfo in DER. */
export const spkiOf = (pair: WrappingKey): Buffer => parse(pair).spki

export const privateKeyOf = (pair: WrappingKey): KeyObject => parse(pair).privateKey

/** A new pair for every request, one of each spec made ahead. */
export function freshWrappingKeys(): WrappingKeys {
  const ahead = new Map<WrappingKeySpec, Promise<WrappingKey>>()
  return {
    async lend(region, spec, period) {
      const next = ahead.get(spec) ?? makePair(spec)
      ahead.set(
        spec,
        next.then(() => makePair(spec)),
      )
      return lendTo(region, await next, period)
    },
  }
}

/** A few pairs of each spec and Region, lent in turn; each request still gets an import token of its own. */
export function sharedWrappingKeys(): WrappingKeys {
  const sets = new Map<string, { readonly pairs: WrappingKey[]; turn: number; first: Promise<unknown> }>()

  const setOf = (region: Region, spec: WrappingKeySpec) => {
    const name = `${region.name} ${spec}`
    const existing = sets.get(name)
    if (existing !== undefined) return existing
    const kept = [...region.wrappingKeys.values()].filter((pair) => pair.spec === spec)
    const pairs = kept.slice(0, SET_SIZE)
    const fill = async (): Promise<void> => {
      pairs.push(await makePair(spec))
    }
    const set = { pairs, turn: 0, first: pairs.length > 0 ? Promise.resolve() : fill() }
    sets.set(name, set)
    // the others follow while the first is already in use
    void set.first.then(async () => {
      while (pairs.length < SET_SIZE) await fill()
    })
    return set
  }

  return {
    async lend(region, spec, period) {
      const set = setOf(region, spec)
      await set.first
      const pair = set.pairs[set.turn++ % set.pairs.length]
      if (pair === undefined) throw new Error("no wrapping key")
      return lendTo(region, pair, period)
    },
  }
}
