import { parseDuration } from "../core/base/expiry.js"
import type { Manifest, ManifestToken, Target } from "../core/manifest/manifest.js"
import { endpointFault, proxyFault } from "../core/key/aws-name.js"
import { partitionOf } from "../core/key/partition.js"
import { agentFaults, resolveAgent } from "./agent.js"
import { resolveState, stateFaults } from "./state.js"
import { errorMessage, type Fault } from "./fault.js"
import { resolveKeys } from "./resolve-keys.js"
import type { ConfigFile } from "./schema.js"
import { parsePinSource } from "./pin-source.js"
import { parseTokenUri, type TokenUri } from "../core/token/token-uri.js"

const RESERVED_ID = "custody"

/** The manifest of a file whose shape is right, and what its keys have to do with each other and do not fit. */
export function resolve(file: ConfigFile): { readonly manifest: Manifest; readonly faults: readonly Fault[] } {
  const policy = { ...file.policy, allowCustody: file.policy.allowCustody ?? null }
  const { keys, faults } = resolveKeys(file, policy)
  const manifest = {
    id: file.id,
    tokens: mapped(file.tokens, resolveToken),
    targets: mapped(file.targets, resolveTarget),
    keys,
    policy,
    accept: file.accept,
    agent: file.agent === undefined ? null : resolveAgent(file.agent),
    postgres: resolveState(file.state),
  }
  return {
    manifest,
    faults: [
      ...(file.id === RESERVED_ID ? [{ path: ["id"], message: "is reserved: custody keys are labelled so" }] : []),
      ...tokenFaults(file.tokens),
      ...Object.entries(file.targets).flatMap(([name, target]) => targetFaults(name, target)),
      ...faults,
      ...(file.agent === undefined ? [] : agentFaults(file.agent)),
      ...(file.state === undefined ? [] : stateFaults(file.state)),
    ],
  }
}

function mapped<T, R>(
  entries: Readonly<Record<string, T>>,
  resolveEntry: (value: T) => R,
): Readonly<Record<string, R>> {
  return Object.fromEntries(Object.entries(entries).map(([name, value]) => [name, resolveEntry(value)]))
}

type FileToken = ConfigFile["tokens"][string]

function resolveToken({ uri, pin, profile, libraryParameters, sessions, callTimeout }: FileToken): ManifestToken {
  const [[kind, place] = []] = Object.entries(pin ?? {}).filter(([, value]) => value !== undefined)
  return {
    uri,
    pinSource: kind === undefined ? null : kind === "prompt" ? kind : `${kind}:${String(place)}`,
    profile: profile ?? null,
    libraryParameters: libraryParameters ?? null,
    sessions: sessions ?? null,
    callTimeout: callTimeout === undefined ? null : (parseDuration(callTimeout) ?? null),
  }
}

/** A process loads a module once, and logs in to a token once. */
function tokenFaults(tokens: ConfigFile["tokens"]): readonly Fault[] {
  const faults: Fault[] = []
  const modules = new Map<string, { name: string; parameters: string | null }>()
  const namesByToken = new Map<string, string>()
  for (const [name, token] of Object.entries(tokens)) {
    const path = ["tokens", name]
    let uri: TokenUri
    try {
      uri = parseTokenUri(token.uri)
      if (uri.pinSource !== null) parsePinSource(uri.pinSource)
    } catch (error) {
      faults.push({ path: [...path, "uri"], message: errorMessage(error) })
      continue
    }
    if (uri.pinSource !== null && token.pin !== undefined) {
      faults.push({ path: [...path, "pin"], message: "is given twice: pin-source stands in the uri" })
    }
    if (uri.libraryParameters !== null && token.libraryParameters !== undefined) {
      const message = "is given twice: x-library-parameters stands in the uri"
      faults.push({ path: [...path, "libraryParameters"], message })
    }
    if (uri.modulePath === null) {
      faults.push({ path: [...path, "uri"], message: "has no module-path" })
      continue
    }
    const parameters = token.libraryParameters ?? uri.libraryParameters
    const sharing = modules.get(uri.modulePath)
    if (sharing !== undefined && sharing.parameters !== parameters) {
      const message = `has other library parameters than tokens.${sharing.name}, and a process loads a module once`
      faults.push({ path, message })
    }
    modules.set(uri.modulePath, sharing ?? { name, parameters })
    const tokenId = JSON.stringify([uri.modulePath, Object.entries(uri.selectors).sort()])
    const namesake = namesByToken.get(tokenId)
    if (namesake !== undefined) faults.push({ path, message: `names the same token as tokens.${namesake}` })
    namesByToken.set(tokenId, namesake ?? name)
  }
  return faults
}

type FileTarget = ConfigFile["targets"][string]

function resolveTarget({ region, account, roleArn, profile, endpoint, fips, proxy, tls, quotas }: FileTarget): Target {
  return {
    region,
    account: account ?? null,
    roleArn: roleArn ?? null,
    profile: profile ?? null,
    endpoint: endpoint ?? null,
    fips: fips ?? null,
    proxy: proxy ?? null,
    tls: tls ?? null,
    quotas: quotas ?? {},
  }
}

function targetFaults(
  name: string,
  { region, account, roleArn, endpoint, fips, proxy, tls }: FileTarget,
): readonly Fault[] {
  const faults: Fault[] = []
  const fault = (key: string, message: string | undefined): void => {
    if (message !== undefined) faults.push({ path: ["targets", name, key], message })
  }
  const [, rolePartition, , , roleAccount] = roleArn?.split(":") ?? []
  if (account !== undefined && roleAccount !== undefined && roleAccount !== account) {
    fault("roleArn", `is a role of account ${roleAccount}, and account is ${account}`)
  }
  if (rolePartition !== undefined && rolePartition !== partitionOf(region)) {
    fault("roleArn", `is a role in ${rolePartition}, and ${region} is in ${partitionOf(region)}`)
  }
  if (endpoint !== undefined) fault("endpoint", endpointFault(endpoint))
  if (endpoint !== undefined && fips === true) fault("fips", "and an endpoint exclude each other")
  if (tls?.requirePostQuantum === true && endpoint?.startsWith("http:") === true) {
    fault("tls", "requires a post-quantum key exchange, and the endpoint is plain http, which has none")
  }
  if (proxy !== undefined) fault("proxy", targetProxyFault(proxy))
  return faults
}

function targetProxyFault(text: string): string | undefined {
  if (!text.includes("@")) return proxyFault(text)
  return "carries a user name or password: a proxy that wants one is named by HTTPS_PROXY in the environment"
}
