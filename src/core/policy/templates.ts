import type { Binding } from "../manifest/binding.js"
import type { RegionalAlarm } from "./alarm.js"
import type { PolicyDocument } from "./document.js"
import type { RegionalRule } from "./eventbridge.js"
import { logicalName as logical, namedApart, terraformName as named } from "./resource-name.js"

/** Resources by their names in a template. */
export type Resources = Readonly<Record<string, object>>

/** Terraform would take `${…}` for an expression of its own. */
const terraformText = (json: object): string => JSON.stringify(json).replaceAll("${", "$${").replaceAll("%{", "%%{")

export const cloudFormation = (resources: Resources): object => ({
  AWSTemplateFormatVersion: "2010-09-09",
  Resources: resources,
})

/** Terraform's JSON syntax: a file `*.tf.json`. */
export const terraform = (resources: Readonly<Record<string, Resources>>): object => ({ resource: resources })

export const managedPolicy = {
  cloudFormation: (name: string, document: PolicyDocument): Resources => ({
    [logical(name)]: {
      Type: "AWS::IAM::ManagedPolicy",
      Properties: { ManagedPolicyName: name, PolicyDocument: document },
    },
  }),
  terraform: (name: string, document: PolicyDocument): Readonly<Record<string, Resources>> => ({
    aws_iam_policy: { [named(name)]: { name, policy: terraformText(document) } },
  }),
}

/** A service control policy; whom it is attached to is the organization's business. */
export const controlPolicy = {
  cloudFormation: (name: string, document: PolicyDocument): Resources => ({
    [logical(name)]: {
      Type: "AWS::Organizations::Policy",
      Properties: { Name: name, Type: "SERVICE_CONTROL_POLICY", Content: document },
    },
  }),
  terraform: (name: string, document: PolicyDocument): Readonly<Record<string, Resources>> => ({
    aws_organizations_policy: {
      [named(name)]: { name, type: "SERVICE_CONTROL_POLICY", content: terraformText(document) },
    },
  }),
}

/** keyferry imports, and says for how long: Terraform would import nothing in its place (docs/terraform.md). */
const KEYFERRYS_OWN = [
  "enabled",
  "valid_to",
  ...["owner", "name", "request", "source"].map((tag) => `tags["keyferry:${tag}"]`),
]

/** KMS keys without material that have the policy, for `keyArn` to name. */
export const emptyKeys = {
  cloudFormation: (bindings: readonly Binding[], document: PolicyDocument): Resources =>
    namedApart(
      logical,
      bindings.map(({ name, target, keySpec, keyUsage, multiRegion }) => [
        [name, target],
        {
          Type: "AWS::KMS::Key",
          DeletionPolicy: "Retain",
          UpdateReplacePolicy: "Retain",
          Properties: {
            Origin: "EXTERNAL",
            KeySpec: keySpec,
            KeyUsage: keyUsage,
            MultiRegion: multiRegion,
            KeyPolicy: document,
          },
        },
      ]),
    ),
  terraform: (
    bindings: readonly Binding[],
    document: PolicyDocument,
    regionOf: (target: string) => string,
  ): Readonly<Record<string, Resources>> => ({
    aws_kms_external_key: namedApart(
      named,
      bindings.map(({ name, target, keySpec, keyUsage, multiRegion }) => [
        [name, target],
        {
          region: regionOf(target),
          key_spec: keySpec,
          key_usage: keyUsage,
          multi_region: multiRegion,
          policy: terraformText(document),
          lifecycle: { prevent_destroy: true, ignore_changes: KEYFERRYS_OWN },
        },
      ]),
    ),
  }),
}

export const metricAlarms = {
  cloudFormation: (alarms: readonly RegionalAlarm[]): Resources =>
    namedApart(
      logical,
      alarms.map(({ name, target, alarm }) => [
        [name, target, "Expiry"],
        { Type: "AWS::CloudWatch::Alarm", Properties: alarm },
      ]),
    ),
  terraform: (alarms: readonly RegionalAlarm[]): Readonly<Record<string, Resources>> => ({
    aws_cloudwatch_metric_alarm: namedApart(
      named,
      alarms.map(({ name, target, region, alarm }) => [
        [name, target, region],
        {
          region,
          alarm_name: alarm.AlarmName,
          alarm_description: alarm.AlarmDescription,
          namespace: alarm.Namespace,
          metric_name: alarm.MetricName,
          dimensions: { KeyId: alarm.Dimensions[0]?.Value },
          statistic: alarm.Statistic,
          period: alarm.Period,
          evaluation_periods: alarm.EvaluationPeriods,
          threshold: alarm.Threshold,
          comparison_operator: alarm.ComparisonOperator,
          treat_missing_data: alarm.TreatMissingData,
          ...(alarm.AlarmActions === undefined ? {} : { alarm_actions: alarm.AlarmActions }),
        },
      ]),
    ),
  }),
}

export const eventRules = {
  cloudFormation: (rules: readonly RegionalRule[]): Resources =>
    Object.fromEntries(
      rules.map(({ rule, targets }) => [
        logical(rule.Name),
        {
          Type: "AWS::Events::Rule",
          Properties: { ...rule, ...(targets.length === 0 ? {} : { Targets: targetsOf(targets) }) },
        },
      ]),
    ),
  terraform: (rules: readonly RegionalRule[]): Readonly<Record<string, Resources>> => ({
    aws_cloudwatch_event_rule: Object.fromEntries(
      rules.map(({ region, rule }) => [
        named(rule.Name, region),
        {
          region,
          name: rule.Name,
          description: rule.Description,
          event_pattern: terraformText(rule.EventPattern),
        },
      ]),
    ),
    ...(rules.every(({ targets }) => targets.length === 0)
      ? {}
      : {
          aws_cloudwatch_event_target: Object.fromEntries(
            rules.flatMap(({ region, rule, targets }) =>
              targetsOf(targets).map(({ Id, Arn }) => [
                named(rule.Name, region, Id),
                { region, rule: `\${aws_cloudwatch_event_rule.${named(rule.Name, region)}.name}`, arn: Arn },
              ]),
            ),
          ),
        }),
  }),
}

const targetsOf = (notify: readonly string[]) => notify.map((Arn, index) => ({ Id: `notify-${index + 1}`, Arn }))
