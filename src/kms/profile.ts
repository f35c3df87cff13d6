import { access, constants, stat } from "node:fs/promises"
import { homedir } from "node:os"
import { join } from "node:path"
import { loadSharedConfigFiles } from "@smithy/core/config"
import { KeyferryError } from "../core/base/error.js"
import { countOf, firstOf, type Section, settingError, variableText } from "./setting-text.js"

/** AWS' shared files as the SDK reads them: both merged, the credentials file's keys over the configuration file's. */
interface SharedFiles {
  readonly profiles: Readonly<Record<string, Section | undefined>>
  /** With `services.NAME` and `sso-session.NAME`. */
  readonly config: Readonly<Record<string, Section | undefined>>
}

/** The profile that applies. */
export interface AwsProfile {
  /** Null where nobody named one: then it is `default`, where there is such a one. */
  readonly name: string | null
  /** How messages name it. */
  readonly words: string
  /** Its keys, of both files. */
  readonly keys: Section
  /** Its `services` section: `kms.endpoint_url` and the like. */
  readonly services: Section
  /** From where its credentials are to come; null where it says nothing of them. */
  readonly credentials: ProfileCredentials | null
}

/** What a profile's keys say of its credentials, in the order in which the SDK takes them. */
export type ProfileCredentials = "role" | "keys" | "web identity" | "process" | "single sign-on" | "login"

/**
 * The profile of a flag or target, of AWS_PROFILE (AWS_DEFAULT_PROFILE), or `default`, whole: the profiles, sections and
 * keys that its credentials rest on are looked at as well.
 *
 * @throws ERR_KMS_PROFILE_UNKNOWN where it, or one that it rests on, is not there; ERR_KMS_SETTING where they go round in
 *   a circle, want a second factor or contradict themselves; ERR_INPUT_UNREADABLE
 */
export async function readProfile(profile: string | undefined, env: NodeJS.ProcessEnv): Promise<AwsProfile> {
  const files = await sharedFiles()
  const name = profile ?? profileVariable(env)
  const applied = name ?? "default"
  const words = `AWS profile '${applied}'`
  const keys = files.profiles[applied]
  if (keys === undefined && name !== null) throw unknown(`there is no ${words}`)
  const credentials = keys === undefined ? null : credentialsOf(files, applied, [])
  return { name, words, keys: keys ?? {}, services: servicesOf(files, applied, keys ?? {}), credentials }
}

function profileVariable(env: NodeJS.ProcessEnv): string | null {
  const [first, second] = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"].map((name) => variableText(env, name))
  if (first !== undefined && second !== undefined && first !== second) {
    throw settingError("AWS_DEFAULT_PROFILE", "names another profile than AWS_PROFILE")
  }
  return first ?? second ?? null
}

async function sharedFiles(): Promise<SharedFiles> {
  await refuseUnreadable("AWS_CONFIG_FILE", "config")
  await refuseUnreadable("AWS_SHARED_CREDENTIALS_FILE", "credentials")
  // read anew: a process that lives long sees the file that there is
  const { configFile, credentialsFile } = await loadSharedConfigFiles({ ignoreCache: true })
  const names = new Set([...Object.keys(configFile), ...Object.keys(credentialsFile)])
  const profiles = [...names].map((name) => [name, { ...configFile[name], ...credentialsFile[name] }] as const)
  return { profiles: Object.fromEntries(profiles), config: configFile }
}

/** The SDK passes over a file that it may not read as if it were not there. */
async function refuseUnreadable(variable: string, file: string): Promise<void> {
  const text = variableText(process.env, variable)
  const path = (text ?? join(homedir(), ".aws", file)).replace(/^~(?=\/)/, homedir())
  try {
    await access(path, constants.R_OK)
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException
    if (code === "ENOENT" || code === "ENOTDIR") return
    if (text === undefined && !(await isThere(path))) return
    const origin = text === undefined ? "" : ` (${variable} names it)`
    throw new KeyferryError("ERR_INPUT_UNREADABLE", `AWS' ${file} file cannot be read${origin}`, {
      key: path,
      cause: error,
      causes: [{ code, message }],
    })
  }
}

/** Not in a home that may not be entered, as a service of systemd has with `ProtectHome`: the AWS CLI finds none there either. */
async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch {
    return false
  }
}

function servicesOf({ config }: SharedFiles, name: string, { services }: Section): Section {
  if (services === undefined) return {}
  const section = config[`services.${services}`]
  if (section === undefined) throw unknown(`services of AWS profile '${name}' names a section that is not there`)
  return section
}

/** In this spelling alone: the SDK knows no other. */
const CREDENTIAL_SOURCES: readonly string[] = ["Environment", "Ec2InstanceMetadata", "EcsContainer"]

/** @param before the profiles on the way here, for whose role this one's credentials are */
function credentialsOf(files: SharedFiles, name: string, before: readonly string[]): ProfileCredentials | null {
  const keys = files.profiles[name] ?? {}
  const origin = (key: string): string => `${key} of AWS profile '${name}'`
  const has = (key: string): boolean => (keys[key] ?? "") !== ""
  if (has("mfa_serial")) {
    throw settingError(origin("mfa_serial"), "wants a second factor, which no unattended run can give", {
      hint: "get a session first (`aws sts get-session-token`), or name a profile without mfa_serial",
    })
  }
  const hasKeys = has("aws_access_key_id") && has("aws_secret_access_key")
  if (!hasKeys && (has("aws_access_key_id") || has("aws_secret_access_key"))) {
    const [lacking, other] = has("aws_access_key_id")
      ? ["aws_secret_access_key", "aws_access_key_id"]
      : ["aws_access_key_id", "aws_secret_access_key"]
    throw settingError(origin(lacking), `is missing, and ${other} is there`)
  }
  // what a role is assumed with: the SDK takes a profile's own keys then, whatever else it says
  if (hasKeys && before.length > 0) return "keys"
  if (has("role_arn")) return roleOf(files, name, before)
  const loose = ["source_profile", "web_identity_token_file"].find(has)
  if (loose !== undefined) throw settingError(origin(loose), "is without a role_arn")
  if (hasKeys) return "keys"
  if (has("credential_process")) return "process"
  if (has("sso_session")) {
    if (files.config[`sso-session.${keys["sso_session"] ?? ""}`] === undefined) {
      throw unknown(`${origin("sso_session")} names a section that is not there`)
    }
    return "single sign-on"
  }
  if (has("sso_start_url")) return "single sign-on"
  return has("login_session") ? "login" : null
}

/** A role, and what it is assumed with, which must be one thing: with keys alone the SDK would pass over the role. */
function roleOf(files: SharedFiles, name: string, before: readonly string[]): ProfileCredentials {
  const keys = files.profiles[name] ?? {}
  const words = `AWS profile '${name}'`
  const ways = ["source_profile", "credential_source", "web_identity_token_file"]
  const [way, second] = ways.filter((key) => (keys[key] ?? "") !== "")
  if (way === undefined) throw settingError(`role_arn of ${words}`, `is without any of ${ways.join(", ")}`)
  if (second !== undefined) throw settingError(`${second} of ${words}`, `and ${way} exclude each other`)
  countOf(firstOf([`duration_seconds of ${words}`, keys["duration_seconds"]]))
  if (way === "web_identity_token_file") return "web identity"
  if (way === "credential_source") {
    if (CREDENTIAL_SOURCES.includes(keys["credential_source"] ?? "")) return "role"
    throw settingError(`credential_source of ${words}`, `is none of ${CREDENTIAL_SOURCES.join(", ")}`)
  }
  const source = keys["source_profile"] ?? ""
  const sourceKeys = files.profiles[source]
  if (sourceKeys === undefined) throw unknown(`there is no AWS profile '${source}', source_profile of '${name}'`)
  const path = [...before, name]
  const isOwnSource = source === name && sourceKeys["aws_access_key_id"] !== undefined
  if (path.includes(source) && !isOwnSource) {
    throw settingError(`source_profile of ${words}`, `goes round in a circle: ${[...path, source].join(", ")}`)
  }
  if (credentialsOf(files, source, path) === null) {
    throw settingError(`source_profile of ${words}`, `names '${source}', which says nothing of credentials`)
  }
  return "role"
}

function unknown(message: string): KeyferryError {
  return new KeyferryError("ERR_KMS_PROFILE_UNKNOWN", message)
}
