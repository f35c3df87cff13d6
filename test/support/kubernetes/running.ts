import { containersOf, type KubernetesObject, nameOf, podsOf, selects } from "./objects.js"

/** The agent finishes the key in hand for so long after SIGTERM, in seconds. */
const FINISHING = 10
/** What a namespace's labels do with a profile. */
const MODES = ["enforce", "warn", "audit"]

/** What a stranger would not want of how keyferry runs: more than one round at a time, agents that all go at once, and the like. */
export function runningFaults(objects: readonly KubernetesObject[]): readonly string[] {
  return [
    ...objects
      .filter(({ kind, metadata }) => metadata.namespace === undefined && !CLUSTER_WIDE.includes(kind))
      .map((object) => `${nameOf(object)}: it is in no namespace`),
    ...objects.flatMap((object) => objectFaults(object, objects).map((fault) => `${nameOf(object)}: ${fault}`)),
    ...podsOf(objects).flatMap(({ of, template: { spec } }) => {
      const faults: string[] = []
      if ((spec.terminationGracePeriodSeconds ?? 30) <= FINISHING)
        faults.push("it is killed before the key in hand is done")
      for (const { name, securityContext, resources } of containersOf(spec)) {
        if (securityContext?.readOnlyRootFilesystem !== true) faults.push(`${name} can write its root`)
        if (resources?.limits?.["memory"] === undefined || resources.requests?.["memory"] === undefined)
          faults.push(`${name} has no limit of memory, or no request`)
      }
      for (const { name, env = [] } of spec.containers)
        // the image names a directory, which is refused beside a database
        if (!env.some((variable) => variable.name === "KEYFERRY_STATE_DIR" && variable.value === ""))
          faults.push(`${name} has the image's state directory`)
      for (const { volumeMounts = [] } of spec.containers)
        for (const { mountPath, readOnly } of volumeMounts)
          if (readOnly !== true) faults.push(`${mountPath} can be written`)
      for (const { name, persistentVolumeClaim: claim } of spec.volumes ?? [])
        // else the kubelet gives the folder on the node to the pod's group
        if (claim !== undefined && claim.readOnly !== true) faults.push(`volume ${name} is not read-only`)
      return faults.map((fault) => `${of}: ${fault}`)
    }),
  ]
}

const CLUSTER_WIDE: readonly string[] = ["Namespace", "PersistentVolume"]

function objectFaults(
  { kind, metadata, spec = {} }: KubernetesObject,
  objects: readonly KubernetesObject[],
): readonly string[] {
  switch (kind) {
    case "Namespace":
      return MODES.filter((mode) => metadata.labels?.[`pod-security.kubernetes.io/${mode}`] !== "restricted").map(
        (mode) => `it does not ${mode} 'restricted'`,
      )
    case "CronJob": {
      const faults = spec.concurrencyPolicy === "Forbid" ? [] : ["two rounds can run at a time"]
      if (spec.startingDeadlineSeconds === undefined) faults.push("it has no startingDeadlineSeconds")
      if (spec.jobTemplate?.spec.activeDeadlineSeconds === undefined) faults.push("it has no activeDeadlineSeconds")
      if (spec.jobTemplate?.spec.backoffLimit === undefined) faults.push("it has no backoffLimit")
      const [container] = spec.jobTemplate?.spec.template?.spec.containers ?? []
      if (container?.args?.includes("--once") !== true) faults.push("it does not end after a round")
      return faults
    }
    case "Deployment": {
      const faults = (spec.replicas ?? 1) > 1 ? [] : ["one agent alone"]
      if (spec.strategy?.rollingUpdate?.maxUnavailable !== 1) faults.push("more than one agent is rolled at a time")
      const labels = spec.template?.metadata?.labels
      const budget = objects.find((object) => object.kind === "PodDisruptionBudget")
      if (!selects(budget?.spec?.selector?.matchLabels, labels)) faults.push("no disruption budget is for it")
      return faults
    }
    case "PodDisruptionBudget":
      return spec.maxUnavailable === 1 || spec.minAvailable === 1 ? [] : ["it lets more than one agent go, or none"]
    case "NetworkPolicy":
      return spec.policyTypes?.includes("Ingress") === true && spec.policyTypes.includes("Egress")
        ? []
        : ["it does not say of both directions who may"]
    default:
      return []
  }
}
