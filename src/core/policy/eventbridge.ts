/** A rule of EventBridge: what PutRule is asked for, but that the pattern is no text yet. */
export interface EventRule {
  readonly Name: string
  readonly Description: string
  readonly EventPattern: Readonly<Record<string, unknown>>
}

export interface RegionalRule {
  readonly region: string
  readonly rule: EventRule
}

/** Calls that take keys or their material away. */
const ENDING_CALLS = ["DeleteImportedKeyMaterial", "ScheduleKeyDeletion", "DisableKey"]

/** For each Region: KMS' own word that material has expired, which comes after it, and CloudTrail's of what took a key away. */
export function rulesFor(owner: string, regions: readonly string[]): readonly RegionalRule[] {
  return regions.flatMap((region) => [
    {
      region,
      rule: {
        Name: `keyferry-${owner}-expired`,
        Description: "imported key material has expired: keyferry recover",
        EventPattern: { source: ["aws.kms"], "detail-type": ["KMS Imported Key Material Expiration"] },
      },
    },
    {
      region,
      rule: {
        Name: `keyferry-${owner}-ended`,
        Description: "a KMS key was disabled, its deletion scheduled, or its key material deleted",
        EventPattern: {
          source: ["aws.kms"],
          "detail-type": ["AWS API Call via CloudTrail"],
          detail: { eventSource: ["kms.amazonaws.com"], eventName: ENDING_CALLS },
        },
      },
    },
  ])
}
