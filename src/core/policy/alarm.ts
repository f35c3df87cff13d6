import { notifiedIn } from "./notified.js"
import type { WatchedKey } from "./watched-key.js"

/** What PutMetricAlarm is asked for, by its own names. */
export interface Alarm {
  readonly AlarmName: string
  readonly AlarmDescription: string
  readonly Namespace: "AWS/KMS"
  readonly MetricName: "SecondsUntilKeyMaterialExpiration"
  readonly Dimensions: readonly { readonly Name: "KeyId"; readonly Value: string }[]
  readonly Statistic: "Minimum"
  readonly Period: number
  readonly EvaluationPeriods: 1
  readonly Threshold: number
  readonly ComparisonOperator: "LessThanThreshold"
  /** The metric ends with the material. */
  readonly TreatMissingData: "breaching"
  readonly AlarmActions?: readonly string[]
}

export interface RegionalAlarm {
  readonly name: string
  readonly target: string
  readonly region: string
  readonly alarm: Alarm
}

const PERIOD_SECONDS = 3600

/** An alarm of CloudWatch for each key that expires: the metric has no wildcard, and follows the material that ends first. */
export function alarmsFor(
  owner: string,
  keys: readonly WatchedKey[],
  notify: readonly string[],
): readonly RegionalAlarm[] {
  return keys.flatMap(({ name, target, region, keyId, keyArn, alarmBefore }) => {
    if (alarmBefore === null) return []
    const actions = notifiedIn(region, notify)
    const alarm: Alarm = {
      // names may have hyphens of their own
      AlarmName: ["keyferry", owner, name, target, region].join("/"),
      AlarmDescription: `key material of ${keyArn} (${name}) was not imported again: keyferry check`,
      Namespace: "AWS/KMS",
      MetricName: "SecondsUntilKeyMaterialExpiration",
      Dimensions: [{ Name: "KeyId", Value: keyId }],
      Statistic: "Minimum",
      Period: PERIOD_SECONDS,
      EvaluationPeriods: 1,
      Threshold: alarmBefore,
      ComparisonOperator: "LessThanThreshold",
      TreatMissingData: "breaching",
      ...(actions.length === 0 ? {} : { AlarmActions: actions }),
    }
    return [{ name, target, region, alarm }]
  })
}
