import { stringify } from "yaml"
import type { RenewBefore } from "../core/manifest/binding.js"
import { CUSTODY_NAMES } from "../core/key/custody.js"
import type { AgentSettings, Manifest, ManifestKey, ManifestToken, Target } from "../core/manifest/manifest.js"
import { parseTokenUri } from "../core/token/token-uri.js"

/** In place of a command, which may hold the PIN. */
const NOT_SHOWN = "(not shown)"

/** The manifest in the form of the file, every default filled in; what could hold a secret is shown as its source. */
export function effective({ id, tokens, targets, keys, policy, agent }: Manifest): object {
  return {
    version: 1,
    id,
    tokens: mapped(tokens, tokenOf),
    targets: mapped(targets, targetOf),
    keys: mapped(keys, keyOf),
    policy: { ...policy, allowCustody: policy.allowCustody ?? CUSTODY_NAMES },
    ...(agent === null ? {} : { agent: agentOf(agent) }),
  }
}

export function effectiveText(manifest: Manifest): string {
  return stringify(effective(manifest), { lineWidth: 0 }).trimEnd()
}

function mapped<T>(of: Readonly<Record<string, T>>, to: (value: T) => object): object {
  return Object.fromEntries(Object.entries(of).map(([name, value]) => [name, given(to(value))]))
}

/** Without what was not said and has no default. */
function given(of: object): object {
  const said = (value: unknown): boolean =>
    value !== null && !(typeof value === "object" && Object.keys(value).length === 0)
  return Object.fromEntries(Object.entries(of).filter(([, value]) => said(value)))
}

function tokenOf({ uri, pinSource, ...more }: ManifestToken): object {
  return { uri: shownUri(uri), pin: pinSource === null ? null : pinOf(pinSource), ...more }
}

function pinOf(source: string): object {
  if (source === "prompt") return { prompt: true }
  const colon = source.indexOf(":")
  const [kind, where] = [source.slice(0, colon), source.slice(colon + 1)]
  if (kind === "exec") return { exec: NOT_SHOWN }
  return { [kind]: kind === "fd" ? Number(where) : where }
}

function shownUri(uri: string): string {
  const { pinSource } = parseTokenUri(uri)
  const isCommand = pinSource?.startsWith("|") === true || pinSource?.startsWith("exec:") === true
  return isCommand ? uri.replace(/pin-source=[^&]*/, `pin-source=${NOT_SHOWN}`) : uri
}

const targetOf = (target: Target): object => target

function keyOf({ replicas, renewBefore, rotateEvery, keyPolicy, ...key }: ManifestKey): object {
  return {
    ...key,
    renewBefore: renewBeforeText(renewBefore),
    rotateEvery: rotateEvery === null ? null : durationText(rotateEvery),
    keyPolicy: keyPolicy === null ? null : (JSON.parse(keyPolicy) as object),
    // an empty list says something: a multi-Region key without replicas yet
    multiRegion: replicas === null ? null : { replicas },
  }
}

function renewBeforeText(renewBefore: RenewBefore): string {
  return renewBefore.kind === "percentage" ? `${renewBefore.percent}%` : durationText(renewBefore.seconds)
}

const UNITS = [
  [86_400, "d"],
  [3600, "h"],
  [60, "m"],
  [1, "s"],
] as const

/** Seconds in the largest unit that gives a whole number, `90d`. */
function durationText(seconds: number): string {
  const [size, unit] = UNITS.find(([one]) => seconds > 0 && seconds % one === 0) ?? [1, "s"]
  return `${seconds / size}${unit}`
}

function agentOf({ jitterSeconds, ...agent }: AgentSettings): object {
  return given({ ...agent, jitter: durationText(jitterSeconds) })
}
