import { partitionOf } from "../core/key/partition.js"
import { parseKeyArn } from "../core/key/key-arn.js"
import type { CustodyLog } from "../core/ports/custody-log.js"
import type { Kms } from "../core/ports/kms.js"
import type { Log } from "../core/ports/log.js"

/** Where KMS of a target is asked: what stands in every result, record and log line (invariant I13). */
export interface Place {
  readonly target: string
  /** Null as long as no answer has shown it. */
  readonly account: string | null
  readonly partition: string
  readonly region: string
  /** URL of an endpoint that is not AWS' own of the Region, and who named it; null for AWS' own. */
  readonly endpoint: string | null
  readonly endpointOrigin: string | null
}

interface Opened {
  readonly target: string
  readonly kms: Kms
  readonly hasAnswered: () => boolean
}

/** The targets that a run has opened, each in its Regions, the target's own first. */
export class Places {
  readonly #opened: Opened[] = []

  /** @param hasAnswered whether any request of it was answered */
  add(target: string, kms: Kms, hasAnswered: () => boolean = () => false): void {
    this.#opened.push({ target, kms, hasAnswered })
  }

  /**
   * Asks STS for the account of each place that has answered without showing it, as KMS without keys does. What STS does
   * not tell stays not known.
   */
  async learnAccounts(): Promise<void> {
    for (const opened of this.#opened) {
      if (!opened.hasAnswered() || this.#placeLike(placeOf(opened))?.account != null) continue
      await opened.kms.callersAccount().catch(() => null)
    }
  }

  /** Each once, though a target may have been opened by its name and by flags as well. */
  all(): readonly Place[] {
    const places = new Map<string, Place>()
    for (const place of this.#opened.map(placeOf)) {
      const key = identityOf(place)
      if (places.get(key)?.account == null) places.set(key, place)
    }
    return [...places.values()]
  }

  #placeLike(place: Place): Place | undefined {
    return this.all().find((other) => identityOf(other) === identityOf(place))
  }

  /** That of a target, in the Region of the ARN where one is given; null where the run has not opened it. */
  of(target: unknown, keyArn?: unknown): Place | null {
    const region = typeof keyArn === "string" ? parseKeyArn(keyArn)?.region : undefined
    if (!this.#opened.some((opened) => opened.target === target)) return null
    const ofTarget = this.all().filter((place) => place.target === target)
    return ofTarget.find((place) => place.region === region) ?? ofTarget[0] ?? null
  }

  /** The custody log with the place in each line of a target's key. */
  inLines(custodyLog: CustodyLog): CustodyLog {
    return {
      ...custodyLog,
      append: (event) => {
        const place = this.of(event.target, event.keyArn)
        return custodyLog.append(place === null ? event : { ...event, kms: withoutTarget(place) })
      },
    }
  }

  /** A result with every place, and with its own in each part that is about a key of a target. */
  inResult(result: object): object {
    if (this.#opened.length === 0) return result
    const { keys } = result as { readonly keys?: unknown }
    const rows = Array.isArray(keys) ? { keys: keys.map((row: unknown) => this.#inPart(row)) } : {}
    return { ...(this.#inPart(result) as object), ...rows, kms: this.all() }
  }

  #inPart(part: unknown): unknown {
    if (typeof part !== "object" || part === null || !("target" in part)) return part
    const { target, keyArn } = part as { readonly target: unknown; readonly keyArn?: unknown }
    const place = this.of(target, keyArn)
    if (place === null) return part
    const key = typeof keyArn === "string" ? parseKeyArn(keyArn) : undefined
    const { account, partition, region } = key ?? place
    return { account, partition, region, endpoint: place.endpoint, ...part }
  }

  /** The log with the place in each line of a target's key. */
  inLog(log: Log): Log {
    return {
      event: (name, fields) => {
        const { target, keyArn } = fields as { readonly target?: unknown; readonly keyArn?: unknown }
        const place = this.of(target, keyArn)
        log.event(name, place === null ? fields : { ...withoutTarget(place), ...fields })
      },
    }
  }
}

const identityOf = ({ target, region, endpoint }: Place): string => JSON.stringify([target, region, endpoint])

function placeOf({ target, kms }: Opened): Place {
  const { region, endpoint } = kms
  const account = kms.knownAccount()
  return {
    target,
    account: account?.account ?? null,
    partition: account?.partition ?? partitionOf(region),
    region,
    endpoint: endpoint?.url ?? null,
    endpointOrigin: endpoint?.origin ?? null,
  }
}

function withoutTarget({ account, partition, region, endpoint, endpointOrigin }: Place) {
  return { account, partition, region, endpoint, endpointOrigin }
}
