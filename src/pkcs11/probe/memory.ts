import { ENFORCEMENT_FACTS, type EnforcementFacts } from "../../core/key/custody.js"
import type { KeySpec } from "../../core/key/key-spec.js"
import type { WrapCapability } from "../../core/key/wrapping.js"
import { isMechanismName } from "../cryptoki/mechanisms.js"
import { CUSTODY_KEY_FEATURES, type CustodyKeyFeatures } from "../objects/custody-key.js"
import type { SealingFinding } from "./sealing.js"

export type Remembered = Pick<WrapCapability, "wrapPath" | "mechanisms" | "usable" | "shortScalars" | "reason">

/** What is cached for one token and one state of its module, firmware and profile. */
export interface Memory {
  readonly wraps: Readonly<Record<string, Remembered>>
  readonly custody: EnforcementFacts | null
  readonly sealing: Readonly<Partial<Record<KeySpec, SealingFinding>>>
  readonly custodyKey: CustodyKeyFeatures | null
}

export const NOTHING: Memory = { wraps: {}, custody: null, sealing: {}, custodyKey: null }

/** What the cache holds, as far as it is well-formed: a damaged entry is no verdict. */
export function memoryOf(value: unknown): Memory {
  if (!isRecord(value)) return NOTHING
  const wraps = isRecord(value["wraps"]) ? value["wraps"] : {}
  const sound = Object.entries(wraps).filter((entry): entry is [string, Remembered] => isRemembered(entry[1]))
  const sealing = isRecord(value["sealing"]) ? value["sealing"] : {}
  const findings = Object.entries(sealing).filter((entry): entry is [string, SealingFinding] => isFinding(entry[1]))
  return {
    wraps: Object.fromEntries(sound),
    custody: isFacts(value["custody"]) ? value["custody"] : null,
    sealing: Object.fromEntries(findings),
    custodyKey: isFeatures(value["custodyKey"]) ? value["custodyKey"] : null,
  }
}

function isFinding(value: unknown): value is SealingFinding {
  if (!isRecord(value) || typeof value["reason"] !== "string") return false
  const { possible, mechanism, shortScalars } = value
  if (typeof shortScalars !== "boolean") return false
  if (possible === false) return mechanism === null
  return possible === true && typeof mechanism === "string" && isMechanismName(mechanism)
}

function isFeatures(value: unknown): value is CustodyKeyFeatures {
  return isRecord(value) && CUSTODY_KEY_FEATURES.every((name) => typeof value[name] === "boolean")
}

function isRemembered(value: unknown): value is Remembered {
  if (!isRecord(value)) return false
  const { wrapPath, mechanisms, usable, shortScalars, reason } = value
  if (typeof reason !== "string" || typeof shortScalars !== "boolean" || !Array.isArray(mechanisms)) return false
  const names = mechanisms.map((name: unknown) => (typeof name === "string" && isMechanismName(name) ? name : null))
  if (usable === false && !shortScalars) return wrapPath === null && names.length === 0
  if (usable !== !shortScalars || names.includes(null)) return false
  if (wrapPath === "native") return names.length === 1 && names[0] === "CKM_RSA_AES_KEY_WRAP"
  if (names.at(-1) !== "CKM_RSA_PKCS_OAEP") return false
  return (wrapPath === "oaep" && names.length === 1) || (wrapPath === "composed" && names.length === 2)
}

function isFacts(value: unknown): value is EnforcementFacts {
  if (!isRecord(value)) return false
  const flaw = value["tokenObjectFlaw"]
  const facts = ENFORCEMENT_FACTS.every((name) => value[name] === null || typeof value[name] === "boolean")
  return facts && (flaw === null || typeof flaw === "string")
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
