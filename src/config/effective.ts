import { stringify } from "yaml"
import { CUSTODY_NAMES } from "../core/key/custody.js"
import { SETTING_NAMES, type SettingName, settingOf } from "../core/manifest/key-settings.js"
import type { Manifest, ManifestKey, ManifestToken, Target } from "../core/manifest/manifest.js"
import { parseTokenUri } from "../core/token/token-uri.js"

/** In place of a command, which may hold the PIN. */
const NOT_SHOWN = "(not shown)"

/** The manifest in the form of the file, every default filled in; what could hold a secret is shown as its source. */
export function effective({ id, tokens, targets, keys, policy }: Manifest): object {
  return {
    version: 1,
    id,
    tokens: mapped(tokens, tokenOf),
    targets: mapped(targets, targetOf),
    keys: mapped(keys, keyOf),
    policy: { ...policy, allowCustody: policy.allowCustody ?? CUSTODY_NAMES },
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

function keyOf({ token, targets, ...settings }: ManifestKey): object {
  const { multiRegion, replicas } = settings
  const names = SETTING_NAMES.filter((name) => settingOf(name).file !== null)
  return {
    token,
    targets,
    ...Object.fromEntries(names.map((name) => [name, writtenValue(name, settings[name])])),
    // an empty list says something: a multi-Region key without replicas yet
    multiRegion: multiRegion ? { replicas } : null,
  }
}

function writtenValue(name: SettingName, value: unknown): unknown {
  const { write } = settingOf(name)
  return value === null || value === undefined || write === undefined ? value : write(value)
}
