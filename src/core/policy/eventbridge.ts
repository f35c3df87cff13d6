import { notifiedIn } from "./notified.js"
import { shortened } from "./resource-name.js"

/** A rule of EventBridge: what PutRule is asked for, but that the pattern is no text yet. */
export interface EventRule {
  readonly Name: string
  readonly Description: string
  readonly EventPattern: Readonly<Record<string, unknown>>
}

export interface RegionalRule {
  readonly region: string
  readonly rule: EventRule
  /** ARNs of what is told of it: in the same Region, or in none. */
  readonly targets: readonly string[]
}

/** Calls that take keys or their material away, and what KMS writes down itself once it is gone. */
const ENDING_EVENTS = ["DeleteImportedKeyMaterial", "ScheduleKeyDeletion", "DisableKey", "DeleteExpiredKeyMaterial"]

/** Characters of a rule's name (EventBridge, PutRule). */
const LONGEST_NAME = 64

/**
 * For each Region: KMS' own word that material has expired, which comes after it and not for certain, and CloudTrail's of what took
 * a key or its material away, the expiry included.
 */
export function rulesFor(
  owner: string,
  regions: readonly string[],
  notify: readonly string[],
): readonly RegionalRule[] {
  const rule = (kind: string, description: string, pattern: EventRule["EventPattern"]): EventRule => ({
    Name: shortened(["keyferry", owner, kind], LONGEST_NAME),
    Description: description,
    EventPattern: pattern,
  })
  const rules = [
    rule("expired", "imported key material has expired: keyferry recover", {
      source: ["aws.kms"],
      "detail-type": ["KMS Imported Key Material Expiration"],
    }),
    rule("ended", "a KMS key was disabled, its deletion scheduled, or its key material deleted", {
      source: ["aws.kms"],
      "detail-type": ["AWS API Call via CloudTrail", "AWS Service Event via CloudTrail"],
      detail: { eventSource: ["kms.amazonaws.com"], eventName: ENDING_EVENTS },
    }),
  ]
  return regions.flatMap((region) => rules.map((each) => ({ region, rule: each, targets: notifiedIn(region, notify) })))
}
