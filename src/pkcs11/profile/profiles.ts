import { createHash } from "node:crypto"
import type { TokenInfo } from "../../core/token/token-info.js"
import { cloudhsm } from "./cloudhsm.js"
import { fortanix } from "./fortanix.js"
import { generic } from "./generic.js"
import { kryoptic } from "./kryoptic.js"
import { luna } from "./luna.js"
import { nshield } from "./nshield.js"
import { nss } from "./nss.js"
import { opencryptoki } from "./opencryptoki.js"
import { primus } from "./primus.js"
import type { TokenProfile } from "./profile.js"
import { softhsm2 } from "./softhsm2.js"
import { tpm2 } from "./tpm2.js"
import { utimaco } from "./utimaco.js"
import { yubihsm2 } from "./yubihsm2.js"

/** Every profile, the generic one last. */
export const TOKEN_PROFILES: readonly TokenProfile[] = [
  softhsm2,
  nss,
  opencryptoki,
  kryoptic,
  cloudhsm,
  luna,
  nshield,
  utimaco,
  yubihsm2,
  primus,
  fortanix,
  tpm2,
  generic,
]

/** The first profile whose fields fit what the token says of itself; the generic one if none does. */
export function profileOf(info: TokenInfo): TokenProfile {
  const fits = (profile: TokenProfile): boolean =>
    Object.entries(profile.match).every(([field, prefixes]) => {
      const said = info[field as keyof TokenProfile["match"]].toLowerCase()
      return prefixes.some((prefix) => said.startsWith(prefix.toLowerCase()))
    })
  return TOKEN_PROFILES.find(fits) ?? generic
}

/** SHA-256 of everything in the profile, hex: a changed profile makes cached verdicts void. */
export function profileDigest(profile: TokenProfile): string {
  return createHash("sha256").update(JSON.stringify(profile)).digest("hex")
}

export function profileFamilies(): readonly string[] {
  return TOKEN_PROFILES.map(({ family }) => family)
}

/** The profile of that family; undefined if there is none. */
export function profileNamed(family: string): TokenProfile | undefined {
  return TOKEN_PROFILES.find((profile) => profile.family === family)
}
