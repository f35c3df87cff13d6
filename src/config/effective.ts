import { stringify } from "yaml"
import { CUSTODY_NAMES } from "../core/key/custody.js"
import { SETTING_NAMES, type SettingName, settingOf } from "../core/manifest/key-settings.js"
import type { Manifest, ManifestKey, ManifestToken, Target } from "../core/manifest/manifest.js"
import { shownAgent } from "./agent.js"
import { parseTokenUri } from "../core/token/token-uri.js"

/** In place of a command, which may hold the PIN. */
const NOT_SHOWN = "(not shown)"

/** The manifest in the form of the file, every default filled in; what could hold a secret is shown as its source. */
export function effective({ id, tokens, targets, keys, policy, accept, agent, postgres }: Manifest): object {
  return {
    version: 1,
    id,
    tokens: mapped(tokens, tokenOf),
    targets: mapped(targets, targetOf),
    keys: mapped(keys, keyOf),
    policy: { ...policy, allowCustody: policy.allowCustody ?? CUSTODY_NAMES },
    ...(Object.keys(accept).length === 0 ? {} : { accept }),
    ...(agent === null ? {} : { agent: withoutEmpty(shownAgent(agent, NOT_SHOWN)) }),
    ...(postgres === null ? {} : { state: { postgres: withoutEmpty(postgres) } }),
  }
}

export function effectiveText(manifest: Manifest): string {
  return stringify(effective(manifest), { lineWidth: 0 }).trimEnd()
}

function mapped<T>(entries: Readonly<Record<string, T>>, shape: (value: T) => object): object {
  return Object.fromEntries(Object.entries(entries).map(([name, value]) => [name, withoutEmpty(shape(value))]))
}

/** Without what was not said and has no default. */
function withoutEmpty(mapping: object): object {
  const isSaid = (value: unknown): boolean =>
    value !== null && !(typeof value === "object" && Object.keys(value).length === 0)
  return Object.fromEntries(Object.entries(mapping).filter(([, value]) => isSaid(value)))
}

function tokenOf({ uri, pinSource, ...settings }: ManifestToken): object {
  return { uri: shownUri(uri), pin: pinSource === null ? null : pinOf(pinSource), ...settings }
}

function pinOf(source: string): object {
  if (source === "prompt") return { prompt: true }
  const colon = source.indexOf(":")
  const [kind, place] = [source.slice(0, colon), source.slice(colon + 1)]
  if (kind === "exec") return { exec: NOT_SHOWN }
  return { [kind]: kind === "fd" ? Number(place) : place }
}

function shownUri(uri: string): string {
  const { pinSource } = parseTokenUri(uri)
  const isCommand = pinSource?.startsWith("|") === true || pinSource?.startsWith("exec:") === true
  return isCommand ? uri.replace(/pin-source=[^&]*/, `pin-source=${NOT_SHOWN}`) : uri
}

const targetOf = (target: Target): object => target

function keyOf({ token, targets, ...settings }: ManifestKey): object {
  const { multiRegion, replicas, keyArn } = settings
  const names = SETTING_NAMES.filter((name) => settingOf(name).file !== null)
  return {
    token,
    targets,
    ...Object.fromEntries(names.map((name) => [name, writtenValue(name, settings[name])])),
    // an empty list says something: a multi-Region key without replicas yet
    multiRegion: multiRegion && keyArn === null ? { replicas } : null,
  }
}

function writtenValue(name: SettingName, value: unknown): unknown {
  const { write } = settingOf(name)
  return value === null || value === undefined || write === undefined ? value : write(value)
}
