import { isDeepStrictEqual } from "node:util"
import { KeyferryError } from "../../core/base/error.js"
import type { TextPath, Texts } from "./texts.js"

/** What a text holds, or in words what is wrong with it. */
export type Parsed<T> = { readonly content: T } | { readonly fault: string }

/** How the content of a text is written, and read again. */
export interface TextFormat<T> {
  text(content: T): string
  /** May load a validator, which costs more than reading so small a text. */
  parse(text: string): Promise<Parsed<T>>
}

/** A folder of the state in which each text is replaced as a whole. */
export interface JsonFolder<T> {
  /** The folder, or a text in it, as messages name it. */
  placeOf(name?: string): string
  /** Names of its texts, sorted; none where there is no folder. */
  names(): Promise<readonly string[]>
  /** Undefined where the text is not there. @throws ERR_INPUT_UNREADABLE, ERR_STATE_UNSAFE, ERR_STATE_INVALID */
  read(name: string): Promise<Parsed<T> | undefined>
  /** As `read`, for who cannot do without. @throws ERR_STATE_INVALID too, naming text and fault */
  get(name: string): Promise<T | undefined>
  /** Durable when it returns, with every folder that it made. @throws ERR_STATE_WRITE */
  put(name: string, content: T): Promise<void>
  /** A text that is not there is no error. @throws ERR_STATE_WRITE */
  remove(name: string): Promise<void>
}

/** The folder of the state at `path`. Readers need no lock, since a text is always whole. */
export function jsonFolder<T>(texts: Texts, path: TextPath, format: TextFormat<T>): JsonFolder<T> {
  const placeOf = (name?: string): string => texts.placeOf(name === undefined ? path : [...path, name])

  const read = async (name: string): Promise<Parsed<T> | undefined> => {
    const text = await texts.read([...path, name])
    return text === undefined ? undefined : await format.parse(text)
  }

  return {
    placeOf,
    read,
    names: () => texts.names(path),

    async get(name) {
      const parsed = await read(name)
      if (parsed === undefined) return undefined
      if ("fault" in parsed) throw new KeyferryError("ERR_STATE_INVALID", `${placeOf(name)}: ${parsed.fault}`)
      return parsed.content
    },

    async put(name, content) {
      await texts.put([...path, name], await checkedText(format, content, placeOf(name)))
    },

    remove: (name) => texts.remove([...path, name]),
  }
}

/**
 * The text of a content, once it was seen that a later run reads the same out of it: what comes from elsewhere must not
 * make a state that keyferry itself refuses.
 *
 * @throws ERR_STATE_INVALID with nothing written
 */
async function checkedText<T>(format: TextFormat<T>, content: T, place: string): Promise<string> {
  const text = format.text(content)
  const parsed = await format.parse(text)
  const fault = "fault" in parsed ? parsed.fault : difference(text, format.text(parsed.content))
  if (fault === null) return text
  throw new KeyferryError("ERR_STATE_INVALID", `what was to be written could not be read again: ${place}: ${fault}`, {
    hint: "nothing was written: please report this with the line above",
  })
}

/** Null where both texts say the same, in whatever order: a digest of a text's own depends on that. */
function difference(written: string, read: string): string | null {
  const fields = (text: string): object => ({ ...(JSON.parse(text) as object), digest: undefined })
  return isDeepStrictEqual(fields(written), fields(read)) ? null : "it would be read as something else"
}
