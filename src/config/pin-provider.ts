import { KeyferryError } from "../core/base/error.js"
import type { Secret } from "../core/base/secret.js"
import type { Clock } from "../core/ports/clock.js"
import type { PinAttempt, PinLength, PinProvider } from "../core/ports/pin-provider.js"
import {
  hasWorsened,
  isPassing,
  type LoginAnswer,
  newPinSalt,
  pinBits,
  type PinMarker,
  type PinMarkers,
  type PinToken,
  pinTokenIdentity,
  type PresentedPin,
  type RefusedPin,
} from "../core/token/pin-marker.js"
import { describePinSource, parsePinSource, type PinSource } from "./pin-source.js"
import { readPin } from "./read-pin.js"

interface PinProviderOptions {
  /** As {@link parsePinSource} takes it. */
  readonly source: string
  readonly markers: PinMarkers
  /** `--retry-pin`: present the PIN once more although it was refused. */
  readonly retryPin: boolean
  readonly env: NodeJS.ProcessEnv
  readonly clock: Pick<Clock, "now">
  readonly warn: (text: string) => void
}

/**
 * Gives the PIN of one source and keeps invariant I6: a PIN that the token did not take is not given again, in this run
 * at all, in later runs until `retryPin` is set, wherever it comes from. The source is read each time that a PIN is
 * needed, but for one that can be read only once.
 *
 * @throws ERR_PIN_SOURCE if the source is not understood
 */
export function createPinProvider(options: PinProviderOptions): PinProvider {
  const source = parsePinSource(options.source)
  const refusals = new Refusals(options)
  let kept: Secret | undefined

  return {
    async read(token, length, flags) {
      const marker = await refusals.marker(token, flags)
      const pin = kept ?? (await readPin(source, token.label || token.serial, options))
      if (source.kind === "fd" || source.kind === "prompt") kept = pin
      refusals.refuse(source, { token, pin, marker })
      checkLength(source, pin, { ...length, isRetried: options.retryPin, warn: options.warn })
      return attempt(pin, token, marker)
    },
  }

  function attempt(pin: Secret, token: PinToken, marker: PinMarker | undefined): PinAttempt {
    let presented: PresentedPin | undefined
    return {
      pin,
      async begin(flags) {
        presented = await options.markers.presenting(token, flags)
      },
      async taken() {
        await presented?.end()
        await refusals.taken(token, pin, marker)
      },
      async refused(answer) {
        const note = await refusals.note({ token, pin, marker }, answer)
        // without a marker the note of the presentation stays: a flag of the token may tell a later run
        if (note !== "unwritten") await presented?.end()
        // what was typed may be typed anew
        if (note !== "passing" && source.kind === "prompt") kept = undefined
      },
    }
  }
}

/** A PIN for a token, with what is known of PINs that the token did not take. */
interface Candidate {
  readonly token: PinToken
  readonly pin: Secret
  readonly marker: PinMarker | undefined
}

/** Which PINs were refused: by the markers, and by this process itself, which may be unable to write them. */
class Refusals {
  readonly #options: PinProviderOptions
  readonly #refusedHere = new Set<string>()
  readonly #takenHere = new Set<string>()

  constructor(options: PinProviderOptions) {
    this.#options = options
  }

  /**
   * The marker of the token. Where a run was killed while it presented a PIN, and a flag of the token tells that a wrong
   * one was entered, that PIN is noted as refused, whichever it was.
   */
  async marker(token: PinToken, flags: number): Promise<PinMarker | undefined> {
    const { markers } = this.#options
    const marker = await markers.get(token)
    if (!(await markers.unfinished(token)).some((before) => hasWorsened(before, flags))) return marker
    const noted = withRefused(token, marker, {
      bits: null,
      answer: null,
      refusedAt: this.#options.clock.now().toISOString(),
    })
    await markers.put(noted)
    await markers.forgetUnfinished(token)
    return noted
  }

  /** @throws ERR_TOKEN_PIN_REFUSED_BEFORE */
  refuse(source: PinSource, { token, pin, marker }: Candidate): void {
    if (this.#refusedHere.has(nameOf(token, pin))) throw refusedBefore(source, token, undefined)
    if (this.#options.retryPin || marker === undefined) return
    const bits = pinBits(pin.reveal(), marker.salt)
    const refused = marker.refused.find((earlier) => earlier.bits === null || earlier.bits === bits)
    if (refused !== undefined) throw refusedBefore(source, token, refused)
  }

  async taken(token: PinToken, pin: Secret, marker: PinMarker | undefined): Promise<void> {
    const { markers } = this.#options
    this.#takenHere.add(nameOf(token, pin))
    await markers.forgetUnfinished(token)
    if (marker === undefined) return
    const bits = pinBits(pin.reveal(), marker.salt)
    const others = marker.refused.filter((earlier) => earlier.bits !== null && earlier.bits !== bits)
    if (others.length === 0) await markers.remove(token)
    else if (others.length < marker.refused.length) await markers.put({ ...marker, refused: others })
  }

  /**
   * Notes a PIN as refused, unless it is `passing`: one that this process has logged in with may be presented again after
   * some answers. `unwritten` where the marker cannot be written.
   */
  async note({ token, pin, marker }: Candidate, answer: LoginAnswer): Promise<"passing" | "noted" | "unwritten"> {
    const name = nameOf(token, pin)
    if (this.#takenHere.has(name) && isPassing(answer)) return "passing"
    this.#refusedHere.add(name)
    const salt = marker?.salt ?? newPinSalt()
    const bits = pinBits(pin.reveal(), salt)
    const refused = { bits, answer: answer.answer, refusedAt: this.#options.clock.now().toISOString() }
    try {
      await this.#options.markers.put(withRefused(token, marker ?? { token, salt, refused: [] }, refused))
    } catch (error) {
      // the refusal itself is the error to report; that the next run will not know of it must be said as well
      if (!(error instanceof KeyferryError)) throw error
      this.#options.warn(
        `that the PIN was refused could not be noted, so the next run may present it again: ${error.message}`,
      )
      return "unwritten"
    }
    return "noted"
  }
}

/** The marker with one PIN more; one that it has already is noted anew. */
function withRefused(token: PinToken, marker: PinMarker | undefined, refused: RefusedPin): PinMarker {
  const { salt, refused: earlier } = marker ?? { salt: newPinSalt(), refused: [] }
  return { token, salt, refused: [...earlier.filter(({ bits }) => bits !== refused.bits), refused] }
}

function refusedBefore(source: PinSource, token: PinToken, refused: RefusedPin | undefined): KeyferryError {
  const name = `token "${token.label}" (${token.serial === "" ? "no serial" : `serial ${token.serial}`})`
  if (refused?.bits === null) {
    return new KeyferryError(
      "ERR_TOKEN_PIN_REFUSED_BEFORE",
      `${name} did not take a PIN before (${refused.refusedAt}), and it is not known which: none is presented`,
      { key: token.serial, hint: "make sure that the PIN source is right, then give --retry-pin once" },
    )
  }
  const when = refused === undefined ? "" : ` (${refused.refusedAt})`
  return new KeyferryError(
    "ERR_TOKEN_PIN_REFUSED_BEFORE",
    `the PIN from ${describePinSource(source)} was not taken by ${name} before${when} and is not presented again`,
    { key: token.serial },
  )
}

interface LengthCheck extends PinLength {
  readonly isRetried: boolean
  readonly warn: (text: string) => void
}

/** @throws ERR_PIN_SOURCE for a PIN of a length that the token says it does not take; `--retry-pin` only warns of it. */
function checkLength(source: PinSource, pin: Secret, { min, max, countsUser, isRetried, warn }: LengthCheck): void {
  const text = pin.reveal()
  const counted = countsUser ? text : text.slice(text.indexOf(":") + 1)
  const length = Buffer.byteLength(counted, "utf8")
  const isShort = min !== null && length < min
  if (!isShort && (max === null || length <= max)) return
  const limits = [min === null ? "" : `at least ${min}`, max === null ? "" : `at most ${max}`].filter(Boolean)
  // not how long it is: that is half of guessing it
  const message = `${describePinSource(source)} gives a PIN that is too ${isShort ? "short" : "long"} for the token, which takes ${limits.join(" and ")} bytes`
  if (isRetried) {
    warn(`${message}; --retry-pin presents it all the same`)
    return
  }
  throw new KeyferryError("ERR_PIN_SOURCE", message, {
    hint: "no PIN was presented: correct the PIN source, or give --retry-pin if the token takes it all the same",
  })
}

const nameOf = (token: PinToken, pin: Secret): string => JSON.stringify([pinTokenIdentity(token), pin.reveal()])
