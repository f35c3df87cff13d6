import { KeyferryError } from "../base/error.js"
import { isMultiRegion, parseKeyArn } from "../key/key-arn.js"
import { isAsymmetric, KEY_SPECS } from "../key/key-spec.js"
import { isTaken, partitionOf } from "../key/partition.js"
import { kmsAllows, WRAPPING_ALGORITHM_NAMES, WRAPPING_ALGORITHMS } from "../key/wrapping-algorithm.js"
import type { Binding } from "../manifest/binding.js"
import { bindingsOf, type Manifest } from "../manifest/manifest.js"

/** What the keys of a manifest that are in one account ask of AWS, as far as policies are about it. */
export interface PolicyNeeds {
  /** Value of the tag `keyferry:owner`. */
  readonly owner: string
  readonly partition: string
  /** 12 digits; null where the configuration leaves it open. */
  readonly account: string | null
  /** Of the targets, those of replicas last. */
  readonly regions: readonly string[]
  readonly replicas: readonly string[]
  /** The roles by which keyferry works there. */
  readonly roles: readonly string[]
  readonly keySpecs: readonly string[]
  readonly keyUsages: readonly string[]
  readonly wrappingAlgorithms: readonly string[]
  readonly wrappingKeySpecs: readonly string[]
  readonly expirationModels: readonly string[]
  readonly aliases: readonly string[]
  /** Patterns for the ARNs of KMS keys that others made. */
  readonly keyArns: readonly string[]
  /** Of those the ones that get keyferry's tags. */
  readonly taggedArns: readonly string[]
  /** Whether keyferry makes KMS keys. */
  readonly made: boolean
  readonly tagged: boolean
  readonly symmetric: boolean
  readonly hmac: boolean
  readonly asymmetric: boolean
  readonly signing: boolean
  readonly keyPolicy: boolean
  readonly description: boolean
}

/** Which part of the manifest policies are for: all where nothing is said. */
export interface PolicyScope {
  readonly target: string | null
  readonly names: readonly string[]
}

/**
 * What the keys of one account need.
 *
 * @throws ERR_USAGE where the manifest has no such keys, or keys of several accounts
 */
export function needsOf(manifest: Manifest, scope: PolicyScope): PolicyNeeds {
  const bindings = bindingsIn(manifest, scope)
  const places = placesOf(manifest, bindings)
  refuseAccounts(places)
  const keyferryBindings = bindings.filter(({ keyArn }) => keyArn === null)
  const foreignKeys = bindings.flatMap(({ keyArn, tagKey }) =>
    keyArn === null ? [] : [{ arn: anyRegion(keyArn), tagKey }],
  )
  const replicas = distinct(keyferryBindings.flatMap((binding) => binding.replicas))
  return {
    owner: manifest.id,
    partition: places[0]?.partition ?? "aws",
    account: places[0]?.account ?? null,
    regions: distinct([...places.map(({ region }) => region), ...replicas]),
    replicas,
    roles: distinct(places.flatMap(({ roleArn }) => roleArn ?? [])),
    keySpecs: distinct(bindings.map(({ keySpec }) => keySpec)),
    keyUsages: distinct(bindings.map(({ keyUsage }) => keyUsage)),
    wrappingAlgorithms: distinct(bindings.flatMap((binding) => algorithmsOf(binding, manifest))),
    wrappingKeySpecs: distinct(bindings.map(({ wrappingKeySpec }) => wrappingKeySpec)),
    expirationModels: distinct(
      bindings.map(({ expiresIn }) =>
        expiresIn === "never" ? "KEY_MATERIAL_DOES_NOT_EXPIRE" : "KEY_MATERIAL_EXPIRES",
      ),
    ),
    aliases: distinct(keyferryBindings.flatMap(({ alias }) => alias ?? [])),
    keyArns: distinct(foreignKeys.map(({ arn }) => arn)),
    taggedArns: distinct(foreignKeys.filter(({ tagKey }) => tagKey).map(({ arn }) => arn)),
    made: keyferryBindings.length > 0,
    tagged: keyferryBindings.length > 0 || foreignKeys.some(({ tagKey }) => tagKey),
    symmetric: bindings.some(({ keySpec }) => KEY_SPECS[keySpec].proof === "key-material-id"),
    hmac: bindings.some(({ keySpec }) => KEY_SPECS[keySpec].proof === "mac"),
    asymmetric: bindings.some(({ keySpec }) => isAsymmetric(keySpec)),
    signing: bindings.some(({ keySpec, keyUsage }) => isAsymmetric(keySpec) && keyUsage === "SIGN_VERIFY"),
    keyPolicy: keyferryBindings.some(({ keyPolicy }) => keyPolicy !== null),
    description: keyferryBindings.some(({ description }) => description !== null),
  }
}

/** The keys, each with a target, that policies are for. @throws ERR_USAGE */
export function bindingsIn(manifest: Manifest, { target, names }: PolicyScope): readonly Binding[] {
  const unknown = names.find((name) => !Object.hasOwn(manifest.keys, name))
  if (unknown !== undefined) throw new KeyferryError("ERR_USAGE", `the configuration file has no key ${unknown}`)
  if (target !== null && !Object.hasOwn(manifest.targets, target)) {
    throw new KeyferryError("ERR_USAGE", `there is no target ${target} in the configuration file`)
  }
  const bindings = bindingsOf(manifest).filter(
    (binding) => (target === null || binding.target === target) && (names.length === 0 || names.includes(binding.name)),
  )
  if (bindings.length > 0) return bindings
  throw new KeyferryError("ERR_USAGE", "the configuration file has no keys that a policy would be for", {
    hint: "name keys, and targets for them, in the configuration file",
  })
}

interface Place {
  readonly target: string
  readonly region: string
  readonly roleArn: string | null
  readonly account: string | null
  readonly partition: string
}

/** A target is of one account, which any of its keys may tell. */
function placesOf(manifest: Manifest, bindings: readonly Binding[]): readonly Place[] {
  const ofKeys = new Map<string, string>()
  for (const { target, keyArn } of bindingsOf(manifest)) {
    const parsed = parseKeyArn(keyArn ?? "")
    if (parsed !== undefined) ofKeys.set(target, parsed.account)
  }
  return bindings.map(({ target }) => {
    const { region = "", account = null, roleArn = null } = manifest.targets[target] ?? {}
    const accountOfTarget = account ?? roleArn?.split(":")[4] ?? ofKeys.get(target) ?? null
    return { target, region, roleArn, account: accountOfTarget, partition: partitionOf(region) }
  })
}

/** A policy and a stack are of one account. @throws ERR_USAGE, ERR_KEY_NOT_FOUND */
export function refuseSeveralAccounts(manifest: Manifest, scope: PolicyScope): void {
  refuseAccounts(placesOf(manifest, bindingsIn(manifest, scope)))
}

function refuseAccounts(places: readonly Place[]): void {
  const accounts = distinct(places.map(({ account, partition }) => `${partition} ${account ?? "?"}`))
  if (accounts.length < 2) return
  const unknown = places.find(({ account }) => account === null)
  if (unknown !== undefined) {
    throw new KeyferryError(
      "ERR_USAGE",
      `which account target ${unknown.target} is in is not known, and others are in their own`,
      {
        hint: "a policy is of one account: say account in the target, or give --target NAME",
      },
    )
  }
  throw new KeyferryError("ERR_USAGE", `the keys are in several accounts: ${accounts.join(", ")}`, {
    hint: "a policy is of one account: give --target NAME",
  })
}

/** Replicas of a key that others made may be in any Region, by the same ID. */
function anyRegion(keyArn: string): string {
  const parsed = parseKeyArn(keyArn)
  return parsed !== undefined && isMultiRegion(parsed) ? keyArn.replace(`:${parsed.region}:`, ":*:") : keyArn
}

function algorithmsOf({ target, keySpec, wrappingAlgorithm, wrappingKeySpec }: Binding, { policy, targets }: Manifest) {
  if (wrappingAlgorithm !== "auto") return [wrappingAlgorithm]
  return WRAPPING_ALGORITHM_NAMES.filter(
    (name) =>
      kmsAllows(keySpec, name, wrappingKeySpec) &&
      isTaken(partitionOf(targets[target]?.region ?? ""), name) &&
      (policy.minimumHash === "SHA-1" || WRAPPING_ALGORITHMS[name].hash === "SHA-256"),
  )
}

const distinct = <T>(list: readonly T[]): readonly T[] => [...new Set(list)]
