import { isAlias } from "../../core/key/key-arn.js"
import { KEY_SPECS } from "../protocol/key-spec.js"
import { findKey } from "../state/find-key.js"
import { requireState } from "../state/key-state.js"
import { KEY_ID, type Context, operation } from "./operation.js"
import { byName, pageFields, pageOf, settled, sourceOf } from "../protocol/page.js"
import { documented, recorded } from "../protocol/refusal.js"
import { required, text } from "../protocol/request.js"
import { settleRegion } from "../state/settle.js"
import { type Alias, arnOf, type Key, type Region } from "../state/state.js"

const MAX_ALIASES = 50
const ALIAS_NAME = required(text({ max: 256, pattern: /^[a-zA-Z0-9:/_-]+$/ }))

function checkName(name: string): void {
  if (!isAlias(name) || name.startsWith("arn:")) throw recorded.invalidAlias()
  if (name.startsWith("alias/aws/")) throw documented.reservedAlias()
}

function targetOf(context: Context, target: string): Key {
  if (isAlias(target)) throw documented.aliasTarget()
  const key = findKey(context, target, "no-aliases")
  requireState(key, "manage")
  return key
}

function findAlias(region: Region, name: string): Alias {
  const alias = region.aliases.get(name)
  if (alias === undefined) throw documented.noAlias(arnOf(region, name))
  return alias
}

export const CreateAlias = operation({
  request: { AliasName: ALIAS_NAME, TargetKeyId: required(KEY_ID) },
  run(context, { AliasName, TargetKeyId }) {
    const { region, now } = context
    checkName(AliasName)
    const key = targetOf(context, TargetKeyId)
    settleRegion(region, now)
    if (region.aliases.has(AliasName)) throw documented.aliasExists(arnOf(region, AliasName))
    if (key.aliases.size >= MAX_ALIASES) throw documented.limit(`A key has at most ${MAX_ALIASES} aliases`)
    key.aliases.add(AliasName)
    const alias = { name: AliasName, createdAt: now, updatedAt: now, keyId: key.id }
    region.aliases.set(AliasName, alias)
    context.changes.ofAlias(region, AliasName, alias)
    return {}
  },
})

/** Symmetric, asymmetric and HMAC keys are different types to an alias. */
const TYPES = { aes: "symmetric", hmac: "hmac", rsa: "asymmetric", ec: "asymmetric", edwards: "asymmetric" } as const
const kindOf = (key: Key | undefined) => key && `${TYPES[KEY_SPECS[key.keySpec].family]} ${key.keyUsage}`

export const UpdateAlias = operation({
  request: { AliasName: ALIAS_NAME, TargetKeyId: required(KEY_ID) },
  run(context, { AliasName, TargetKeyId }) {
    const { region, now } = context
    checkName(AliasName)
    settleRegion(region, now)
    const alias = findAlias(region, AliasName)
    const key = targetOf(context, TargetKeyId)
    if (kindOf(region.keys.get(alias.keyId)) !== kindOf(key)) throw documented.aliasKind(arnOf(region, AliasName))
    region.keys.get(alias.keyId)?.aliases.delete(AliasName)
    key.aliases.add(AliasName)
    alias.keyId = key.id
    alias.updatedAt = now
    context.changes.ofAlias(region, AliasName, alias)
    return {}
  },
})

export const DeleteAlias = operation({
  request: { AliasName: ALIAS_NAME },
  run({ region, now, changes }, { AliasName }) {
    settleRegion(region, now)
    const { keyId } = findAlias(region, AliasName)
    region.keys.get(keyId)?.aliases.delete(AliasName)
    region.aliases.delete(AliasName)
    changes.ofAlias(region, AliasName, undefined)
    return {}
  },
})

const nameOf = (alias: Alias) => alias.name

/** The aliases of one key, in order. */
function aliasesOf({ aliases, region }: Key): ReturnType<typeof sourceOf<Alias>> {
  const ofKey = [...aliases].flatMap((name) => region.aliases.get(name) ?? [])
  return sourceOf(byName(ofKey, nameOf), nameOf)
}

export const ListAliases = operation({
  request: { KeyId: KEY_ID, ...pageFields(100) },
  run(context, { KeyId, ...request }) {
    const { region, now, lag } = context
    settleRegion(region, now)
    const key = KeyId === undefined ? undefined : findKey(context, KeyId, "no-aliases")
    const source = key === undefined ? (name?: string) => region.aliases.after(name) : aliasesOf(key)
    const { items, answer } = pageOf((name) => settled(source(name), lag, now), nameOf, request, 50)
    const Aliases = items.map(({ name, keyId, createdAt, updatedAt }) => ({
      AliasName: name,
      AliasArn: arnOf(region, name),
      TargetKeyId: keyId,
      CreationDate: createdAt / 1000,
      LastUpdatedDate: updatedAt / 1000,
    }))
    return { Aliases, ...answer }
  },
})
