import { KeyferryError } from "../../core/base/error.js"
import { parseKeyArn } from "../../core/key/key-arn.js"
import {
  type SearchResult,
  type StrayObject,
  identityOf,
  type SourceKey,
  type SourceKeyTemplate,
} from "../../core/key/source-key.js"
import type { ToBeLocked } from "../../core/ports/to-be-locked.js"
import type { CustodialToken } from "../../core/ports/custodial-token.js"
import type { Token } from "../../core/ports/token.js"
import type { Policy } from "../../core/manifest/binding.js"
import type { WrapCapability, WrappedKeyMaterial } from "../../core/key/wrapping.js"
import { type DamagedMaterial, type SealedMaterial, vaultDamage } from "../../core/records/sealed-material.js"
import { sha256, type WrappingKey } from "../../core/key/wrapping-key.js"
import { type CustodyDeps, ensureCustodyKey, refuseMissing } from "./custody-key.js"
import { record, type Step } from "../record.js"
import { enforcementOf } from "./policy.js"
import { assertSame, shortens } from "./same-material.js"
import { opensToItself, seal, type SealStep, sourceKeyOf } from "./seal.js"

type Dependencies = CustodyDeps & { readonly toBeLocked: ToBeLocked }

/** Of P-521 keys every second one has a scalar that begins with a zero byte: so many in a row are a fault. */
const MAX_GENERATED = 64

type SearchTerms = Parameters<Token["search"]>[0]

/**
 * Joins a token with the vault and the custody log: what changes a source key is written to that. A sealed key exists in
 * the token only while it is used, as a session object that is destroyed whatever happens.
 */
export function custodialToken(deps: Dependencies): CustodialToken {
  return new TokenWithVault(deps)
}

class TokenWithVault implements CustodialToken {
  readonly #deps: Dependencies
  readonly hsm: Token
  /** The custody key in force, by owner: looked for once. */
  readonly #custodyKeys = new Map<string, ReturnType<typeof ensureCustodyKey>>()

  /** The custody keys that the token has, by owner: looked for once, and again where one is not among them. */
  readonly #present = new Map<string, ReturnType<Token["findCustodyKeys"]>>()

  constructor(deps: Dependencies) {
    this.#deps = deps
    this.hsm = deps.token
  }

  get info(): Token["info"] {
    return this.hsm.info
  }

  get writeProtection(): Token["writeProtection"] {
    return this.hsm.writeProtection
  }

  async findSourceKeys(terms: SearchTerms = {}): Promise<readonly SourceKey[]> {
    return (await this.search(terms)).keys
  }

  /** @throws ERR_VAULT_DAMAGED where what is looked for may be in a damaged file */
  async search(terms: SearchTerms = {}): Promise<SearchResult> {
    const { sealed, damaged } = await this.#sealed(terms)
    const { keys, strays } = await this.hsm.search(terms)
    const [damagedMaterial] = damaged
    if (damagedMaterial !== undefined && (terms.id !== undefined || terms.label !== undefined))
      throw vaultDamage(damagedMaterial)
    const ids = new Set(sealed.map(({ id }) => id))
    const unsealed = (key: SourceKey): boolean => key.custody === "session" && ids.has(key.id)
    const leftovers = keys.filter((key) => ids.has(key.id) && !unsealed(key))
    const objects = await this.#toBeLocked(keys.filter((key) => !ids.has(key.id)))
    return {
      keys: [...objects, ...sealed.map(sourceKeyOf)],
      strays: [...strays.filter(({ id }) => !ids.has(id)), ...leftovers.map(leftObject), ...damaged.map(strayOf)],
    }
  }

  async generateSourceKey(template: SourceKeyTemplate): Promise<SourceKey> {
    if (template.custody === "sealed") return await this.#generateSealed(template)
    // durable before there is a key that would pass for one of custody `token`
    if (template.custody === "locked") await this.#deps.toBeLocked.add(template)
    const key = await this.hsm.generateSourceKey(template)
    await this.#logGenerated(key, template.custody)
    return template.custody === "locked" ? { ...key, custody: "locked" } : key
  }

  async destroySourceKey(key: Pick<SourceKey, "id" | "label">): Promise<void> {
    const facts = {
      custody: (await this.#deps.vault.get(key.id, identityOf(key.label))) === undefined ? "token" : "sealed",
    }
    await this.#record("source.destroyed", key, { ...facts, step: "intended" })
    await this.hsm.destroySourceKey(key)
    await this.#deps.vault.remove(key.id)
    await this.#deps.toBeLocked.remove(key.id)
    await this.#record("source.destroyed", key, { ...facts, step: "done" })
  }

  async wrap(
    key: SourceKey,
    wrappingKey: WrappingKey,
    capability: WrapCapability,
    kmsKey: string | null,
  ): Promise<WrappedKeyMaterial> {
    const wrapped = await this.#asObject(key, (object) => this.hsm.wrap(object, wrappingKey, capability))
    await this.#record("source.wrapped", key, {
      kmsKey: kmsKey ?? NOT_KNOWN,
      account: parseKeyArn(kmsKey ?? "")?.account ?? NOT_KNOWN,
      wrappingAlgorithm: wrapped.wrappingAlgorithm,
      mechanisms: wrapped.mechanisms,
      wrappingKeyFingerprint: wrapped.wrappingKeyFingerprint,
      digest: sha256(wrapped.bytes),
      bytes: wrapped.bytes.length,
    })
    return wrapped
  }

  async refuseUnopenable(key: SourceKey, { allowShortScalars }: Pick<Policy, "allowShortScalars">): Promise<void> {
    if (key.custody !== "sealed") return
    const material = await this.#material(key)
    const { custodyKey, owner } = material
    const before = (await this.#present.get(owner)) ?? []
    const isPresent = before.some(({ id }) => id === custodyKey.id)
    refuseMissing(custodyKey, isPresent ? before : await this.#lookForCustodyKeys(owner), owner)
    if (!allowShortScalars && (await shortens(this.hsm, key.keySpec))) await assertSame(this.hsm, material, material)
  }

  async publicKey(key: SourceKey): Promise<Uint8Array> {
    if (key.custody !== "sealed") return await this.hsm.publicKey(key)
    const { publicKey } = (await this.#material(key)).provenance
    if (publicKey === null) throw new KeyferryError("ERR_BUG", "a secret key has no public key", { key: key.label })
    return publicKey
  }

  mac(key: SourceKey, message: Uint8Array): Promise<Uint8Array> {
    return this.#asObject(key, (object) => this.hsm.mac(object, message))
  }

  async lock(key: SourceKey): Promise<SourceKey> {
    const locked = await this.hsm.lock(key)
    await this.#record("source.locked", key, { extractable: locked.attributes.extractable })
    await this.#deps.toBeLocked.remove(key.id)
    return locked
  }

  readonly selfTest: Token["selfTest"] = (...args) => this.hsm.selfTest(...args)
  readonly probeCustody: Token["probeCustody"] = (...args) => this.hsm.probeCustody(...args)
  readonly findCustodyKeys: Token["findCustodyKeys"] = (owner) => this.hsm.findCustodyKeys(owner)

  async [Symbol.asyncDispose](): Promise<void> {
    await this.hsm[Symbol.asyncDispose]()
  }

  async #generateSealed(template: SourceKeyTemplate): Promise<SourceKey> {
    const identity = identityOf(template.label)
    if (identity === undefined)
      throw new KeyferryError("ERR_BUG", `not the label of a source key: ${template.label}`, { key: template.label })
    await this.#refuseTaken(template)
    const { id, label, keySpec } = template
    const { possible, unenforced } = await enforcementOf(this.hsm, "sealed", keySpec)
    if (!possible) {
      const message = `the token cannot seal ${keySpec}: ${unenforced ?? "not probed"}`
      throw new KeyferryError("ERR_CUSTODY_REFUSED", message, { key: label })
    }
    const custodyKey = await this.#custodyKey(identity.owner)
    const step = { identity: { ...identity, id, label }, origin: "generated", custodyKey, unenforced } as const
    const object = await this.#generateUntilExact(template, step)
    try {
      await this.#logGenerated(object, "sealed")
      return sourceKeyOf(await seal(this.#deps, { object, ...step }))
    } catch (error) {
      await this.#destroyQuietly(object)
      throw error
    }
  }

  /** A session key that this token, where it changes some when it unseals them, gives back to the last byte. */
  async #generateUntilExact(template: SourceKeyTemplate, step: Omit<SealStep, "object">): Promise<SourceKey> {
    const { keySpec, label } = template
    const mayChange = await shortens(this.hsm, keySpec)
    for (let attempt = 0; attempt < MAX_GENERATED; attempt++) {
      const object = await this.hsm.generateSourceKey({ ...template, custody: "session" })
      let keeps = false
      try {
        keeps = !mayChange || (await opensToItself(this.#deps, { object, ...step }))
        if (keeps) return object
      } finally {
        if (!keeps) await this.#destroyQuietly(object)
      }
    }
    throw new KeyferryError("ERR_CUSTODY_REFUSED", `none of ${MAX_GENERATED} ${keySpec} keys was unsealed as it was`, {
      key: label,
    })
  }

  async #toBeLocked(keys: readonly SourceKey[]): Promise<readonly SourceKey[]> {
    if (!keys.some(({ custody }) => custody === "token")) return keys
    const ids = await this.#deps.toBeLocked.list()
    return keys.map((key) => (key.custody === "token" && ids.has(key.id) ? { ...key, custody: "locked" } : key))
  }

  /** The token would refuse an object of this label or ID; the vault is held to the same. */
  async #refuseTaken({ id, label, shareLabel }: SourceKeyTemplate): Promise<void> {
    const { sealed, damaged } = await this.#sealed({ label })
    const [damagedMaterial] = damaged
    if (damagedMaterial !== undefined) throw vaultDamage(damagedMaterial)
    const isTaken = sealed.some((material) => material.id === id || shareLabel !== true)
    if (isTaken)
      throw new KeyferryError("ERR_NAME_TAKEN", "the vault already holds a key of this label", { key: label })
  }

  #custodyKey(owner: string): ReturnType<typeof ensureCustodyKey> {
    const key = this.#custodyKeys.get(owner) ?? ensureCustodyKey(this.#deps, owner)
    this.#custodyKeys.set(owner, key)
    // what failed is tried again by who asks next
    key.catch(() => this.#custodyKeys.delete(owner))
    return key
  }

  #lookForCustodyKeys(owner: string): ReturnType<Token["findCustodyKeys"]> {
    const keys = this.findCustodyKeys(owner)
    this.#present.set(owner, keys)
    // what failed is tried again by who asks next
    keys.catch(() => this.#present.delete(owner))
    return keys
  }

  async #sealed(terms: NonNullable<SearchTerms>) {
    const { vault } = this.#deps
    if (terms.id !== undefined) {
      const material = await vault.get(terms.id, terms.label === undefined ? undefined : identityOf(terms.label))
      const fits = material !== undefined && (terms.label === undefined || material.label === terms.label)
      return { sealed: fits ? [material] : [], damaged: [] }
    }
    if (terms.label === undefined) return await vault.list()
    const identity = identityOf(terms.label)
    if (identity === undefined) return { sealed: [], damaged: [] }
    const { sealed, damaged } = await vault.list(identity)
    return {
      sealed: sealed.filter(({ label }) => label === terms.label),
      damaged: damaged.filter(({ generation }) => generation === null || generation === identity.generation),
    }
  }

  async #material(key: SourceKey): Promise<SealedMaterial> {
    const sealed = await this.#deps.vault.get(key.id, identityOf(key.label))
    if (sealed !== undefined) return sealed
    throw new KeyferryError(
      "ERR_VAULT_DAMAGED",
      `the vault has no file of ${key.label} (${key.id}): its key material cannot be imported again, and its KMS key dies when that expires`,
      { key: key.label },
    )
  }

  /** Lends the key as an object of the token: a sealed one is unsealed for so long. */
  async #asObject<T>(key: SourceKey, use: (object: SourceKey) => Promise<T>): Promise<T> {
    if (key.custody !== "sealed") return await use(key)
    const object = await this.hsm.unseal(await this.#material(key))
    return await this.#thenDestroyed(object, () => use(object))
  }

  /** Destroys a session object after its use, whatever became of that; the first failure is the one that is told. */
  async #thenDestroyed<T>(object: SourceKey, use: () => Promise<T>): Promise<T> {
    let result: T
    try {
      result = await use()
    } catch (error) {
      await this.#destroyQuietly(object)
      throw error
    }
    await this.hsm.destroySourceKey(object)
    return result
  }

  async #destroyQuietly(object: SourceKey): Promise<void> {
    try {
      await this.hsm.destroySourceKey(object)
    } catch {
      // it dies with its session
    }
  }

  async #logGenerated(key: SourceKey, custody: SourceKeyTemplate["custody"]): Promise<void> {
    const { keySpec, kcv, publicKeyFingerprint, attributes } = key
    const { local, alwaysSensitive, neverExtractable, keyGenMechanism } = attributes
    const { unenforced } = await enforcementOf(this.hsm, custody, keySpec)
    await this.#record("source.generated", key, {
      unenforced: unenforced ?? undefined,
      keySpec,
      custody,
      kcv,
      publicKeyFingerprint,
      local,
      alwaysSensitive,
      neverExtractable,
      keyGenMechanism,
    })
  }

  async #record<E extends "source.generated" | "source.wrapped" | "source.locked" | "source.destroyed">(
    event: E,
    { id, label }: Pick<SourceKey, "id" | "label">,
    facts: NonNullable<Step<E>["facts"]>,
  ): Promise<void> {
    const identity = identityOf(label)
    const source = { generation: identity?.generation ?? 0, id, label }
    await record(this.#deps, event, { key: { ...identity, source }, token: this.info, facts })
  }
}

/** What the custody log says of a fact that files did not tell: the step that is online judges it. */
const NOT_KNOWN = "not known"

const leftObject = ({ id, label }: SourceKey): StrayObject => ({
  id,
  label,
  reason: "an object of the token although the key is sealed: run `keyferry key reseal` again, which ends that",
})

const strayOf = ({ path, id, name, reason }: DamagedMaterial): StrayObject => ({
  id: id ?? "",
  label: name ?? path,
  reason: `${path} is damaged: ${reason}`,
})
