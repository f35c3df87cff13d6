import { isAlias, isKeyId, parseKeyArn } from "../../core/key/key-arn.js"
import { documented, recorded } from "../protocol/refusal.js"
import { settleKey } from "./settle.js"
import { arnOf, type Key, type Region } from "./state.js"

/** A Region, and the time by the service's clock in milliseconds since 1970. */
interface RegionNow {
  readonly region: Region
  readonly now: number
}

/**
 * Finds the key that a request names by key ID or key ARN, and by alias where the operation accepts one.
 * Throws NotFoundException or InvalidArnException as the service does.
 */
export function findKey(context: RegionNow, name: string, aliases: "aliases" | "no-aliases"): Key {
  const { region, now } = context
  if (isAlias(name)) return findKey(context, aliasTarget(region, name, aliases), "no-aliases")
  const arn = parseKeyArn(name)
  if (arn === undefined && name.startsWith("arn:")) throw documented.invalidArn(name)
  if (arn !== undefined && arn.region !== region.name) throw documented.otherRegion(arn.region)
  const keyId = arn?.keyId ?? name
  if (!isKeyId(keyId)) throw recorded.invalidKeyId(keyId)
  const key = region.keys.get(keyId)
  if (key === undefined || (arn !== undefined && name !== key.arn)) {
    throw documented.noKey(arn === undefined ? arnOf(region, `key/${keyId}`) : name)
  }
  if (settleKey(key, now)) return key
  throw documented.noKey(key.arn)
}

function aliasTarget(region: Region, name: string, aliases: "aliases" | "no-aliases"): string {
  const isArn = name.startsWith("arn:")
  if (aliases === "no-aliases") throw isArn ? documented.aliasArn(name) : recorded.invalidKeyId(name)
  const short = name.slice(name.indexOf("alias/"))
  const expected = arnOf(region, short)
  const alias = region.aliases.get(short)
  if (alias === undefined || (isArn && name !== expected)) throw documented.noAlias(isArn ? name : expected)
  return alias.keyId
}
