import { KeyferryError } from "../core/base/error.js"

/** An AWS setting as it is written, and where: an environment variable, a key of a profile, a flag. */
export interface SettingText {
  readonly origin: string
  readonly text: string
}

/** The keys of one section of AWS' shared files. */
export type Section = Readonly<Record<string, string | undefined>>

export type Candidate = readonly [origin: string, text: string | undefined]

/** The first that says something: as for AWS' own tools, what is empty is not set. */
export function firstOf(...candidates: readonly Candidate[]): SettingText | null {
  for (const [origin, text] of candidates) {
    const trimmed = text?.trim() ?? ""
    if (trimmed !== "") return { origin, text: trimmed }
  }
  return null
}

/** An environment variable under its own name; one that is empty is not set. */
export function variableText(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const text = env[name]
  return text === undefined || text.trim() === "" ? undefined : text
}

/**
 * A setting that is not understood is refused before anything is sent. What is written there is never quoted: it may be a
 * URL with a password.
 */
export function settingError(origin: string, fault: string, options: { readonly hint?: string } = {}): KeyferryError {
  return new KeyferryError("ERR_KMS_SETTING", `${origin} ${fault}`, options)
}

/** `true` or `false`, in any case of letters. @throws ERR_KMS_SETTING */
export function switchOf(setting: SettingText | null): boolean | null {
  if (setting === null) return null
  const word = setting.text.toLowerCase()
  if (word === "true" || word === "false") return word === "true"
  throw settingError(setting.origin, "is neither true nor false")
}

/** A whole number from 1 on. @throws ERR_KMS_SETTING */
export function countOf(setting: SettingText | null): number | null {
  if (setting === null) return null
  if (/^[1-9]\d{0,5}$/.test(setting.text)) return Number(setting.text)
  throw settingError(setting.origin, "is no whole number from 1 on")
}

/** One of some words, in any case of letters. @throws ERR_KMS_SETTING */
export function wordOf<Word extends string>(setting: SettingText | null, words: readonly Word[]): Word | null {
  if (setting === null) return null
  const word = words.find((candidate) => candidate.toLowerCase() === setting.text.toLowerCase())
  if (word !== undefined) return word
  throw settingError(setting.origin, `is none of ${words.join(", ")}`)
}
