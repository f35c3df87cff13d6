import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, randomUUID } from "node:crypto"
import { promisify } from "node:util"
import { WRAPPING_KEY_SPECS, type WrappingKeySpec } from "../../core/key/key-spec.js"
import type { Region, WrappingKey } from "../state/state.js"

const generate = promisify(generateKeyPair)

/** How many pairs of each spec and Region take turns, unless every request gets its own. */
const SET_SIZE = 2

/** Lends RSA pairs for import. Making one takes up to seconds, so they are made ahead and, by default, used in turn. */
export interface WrappingKeys {
  /** A pair that will be needed until the given time; waits for the first of its spec. */
  lend(region: Region, spec: WrappingKeySpec, now: number, until: number): Promise<WrappingKey>
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

function lendTo(region: Region, pair: WrappingKey, now: number, until: number): WrappingKey {
  for (const old of region.wrappingKeys.values()) if (old.neededUntil <= now) region.wrappingKeys.delete(old.id)
  pair.neededUntil = Math.max(pair.neededUntil, until)
  region.wrappingKeys.set(pair.id, pair)
  return pair
}

/** Reading PEM takes as long as some of the work that is done with it. */
const opened = new WeakMap<WrappingKey, { readonly privateKey: KeyObject; readonly spki: Buffer }>()

function open(pair: WrappingKey) {
  const found = opened.get(pair)
  if (found !== undefined) return found
  const spki = createPublicKey(pair.publicKey).export({ format: "der", type: "spki" })
  const keys = { privateKey: createPrivateKey(pair.privateKey), spki }
  opened.set(pair, keys)
  return keys
}

/** SubjectPublicKeyInfo in DER. */
export const spkiOf = (pair: WrappingKey): Buffer => open(pair).spki

export const privateKeyOf = (pair: WrappingKey): KeyObject => open(pair).privateKey

/** A new pair for every request, one of each spec made ahead. */
export function freshWrappingKeys(): WrappingKeys {
  const ahead = new Map<WrappingKeySpec, Promise<WrappingKey>>()
  return {
    async lend(region, spec, now, until) {
      const next = ahead.get(spec) ?? makePair(spec)
      ahead.set(
        spec,
        next.then(() => makePair(spec)),
      )
      return lendTo(region, await next, now, until)
    },
  }
}

/** A few pairs of each spec and Region, lent in turn; each request still gets an import token of its own. */
export function sharedWrappingKeys(): WrappingKeys {
  const sets = new Map<string, { readonly pairs: WrappingKey[]; turn: number; first: Promise<unknown> }>()

  const setOf = (region: Region, spec: WrappingKeySpec) => {
    const name = `${region.name} ${spec}`
    const found = sets.get(name)
    if (found !== undefined) return found
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
    async lend(region, spec, now, until) {
      const set = setOf(region, spec)
      await set.first
      const pair = set.pairs[set.turn++ % set.pairs.length]
      if (pair === undefined) throw new Error("no wrapping key")
      return lendTo(region, pair, now, until)
    },
  }
}
