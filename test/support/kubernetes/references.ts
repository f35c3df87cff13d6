import {
  containersOf,
  type KubernetesObject,
  nameOf,
  type Pod,
  type PodSpec,
  podsOf,
  type SecretKey,
  selects,
} from "./objects.js"

/** Keys of the Secrets that whoever deploys makes by hand, by the Secret's name. */
export type Secrets = Readonly<Record<string, readonly string[]>>

/** The Secrets that a page has made: `kubectl … create secret generic NAME --from-file=KEY=… --from-literal=KEY=…`. */
export function secretsOf(page: string): Secrets {
  const joined = page.replaceAll(/\\\n\s*/g, " ")
  return Object.fromEntries(
    [...joined.matchAll(/create secret generic (\S+)(.*)/g)].map(([, name = "", rest = ""]) => [
      name,
      [...rest.matchAll(/--from-(?:file|literal)=([^=\s]+)=/g)].map(([, key = ""]) => key),
    ]),
  )
}

/** What a rendering names and neither it nor `secrets` has: objects, keys, volumes, ports, and pods that selectors are for. */
export function referenceFaults(objects: readonly KubernetesObject[], secrets: Secrets): readonly string[] {
  const pods = podsOf(objects)
  return [
    ...pods.flatMap((pod) => podFaults(pod, objects, secrets).map((fault) => `${pod.of}: ${fault}`)),
    ...objects.flatMap((object) =>
      objectFaults(object, objects, secrets).map((fault) => `${nameOf(object)}: ${fault}`),
    ),
  ]
}

function podFaults({ template }: Pod, objects: readonly KubernetesObject[], secrets: Secrets): readonly string[] {
  const { spec, metadata } = template
  const named = (kind: string, name: string | undefined): KubernetesObject | undefined =>
    objects.find((object) => object.kind === kind && object.metadata.name === name)
  const faults: string[] = []
  const wantKeys = (kind: string, name: string, keys: readonly string[], has: readonly string[] | undefined): void => {
    if (has === undefined) faults.push(`there is no ${kind} ${name}`)
    else for (const key of keys) if (!has.includes(key)) faults.push(`${kind} ${name} has no ${key}`)
  }
  const keysOfMap = (name: string): readonly string[] | undefined => {
    const map = named("ConfigMap", name)
    return map && Object.keys(map.data ?? {})
  }
  if (named("ServiceAccount", spec.serviceAccountName) === undefined)
    faults.push(`there is no ServiceAccount ${spec.serviceAccountName ?? "for it"}`)
  for (const { configMap, secret, persistentVolumeClaim: claim, csi } of spec.volumes ?? []) {
    const keys = (configMap?.items ?? secret?.items ?? []).map(({ key }) => key)
    if (configMap !== undefined) wantKeys("ConfigMap", configMap.name, keys, keysOfMap(configMap.name))
    if (secret !== undefined) wantKeys("Secret", secret.secretName, keys, secrets[secret.secretName])
    if (claim !== undefined && named("PersistentVolumeClaim", claim.claimName) === undefined)
      faults.push(`there is no claim ${claim.claimName}`)
    const provider = csi?.volumeAttributes?.["secretProviderClass"]
    if (csi !== undefined && named("SecretProviderClass", provider) === undefined)
      faults.push(`there is no SecretProviderClass ${provider ?? "for it"}`)
  }
  for (const { env = [] } of containersOf(spec))
    for (const { valueFrom: { configMapKeyRef: map, secretKeyRef: secret } = {} } of env) {
      if (map !== undefined) wantKeys("ConfigMap", map.name, [map.key], keysOfMap(map.name))
      if (secret !== undefined) wantKeys("Secret", secret.name, [secret.key], secrets[secret.name])
    }
  for (const { labelSelector } of spec.topologySpreadConstraints ?? [])
    if (!selects(labelSelector?.matchLabels, metadata?.labels)) faults.push("a topology spread does not count it")
  return [...faults, ...insideFaults(spec)]
}

/** Of a pod by itself: mounts of volumes and volumes that are mounted, ports that probes name. */
function insideFaults(spec: PodSpec): readonly string[] {
  const faults: string[] = []
  const mounted = new Set(containersOf(spec).flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name)))
  const volumes = new Set((spec.volumes ?? []).map(({ name }) => name))
  for (const name of mounted) if (!volumes.has(name)) faults.push(`there is no volume ${name}`)
  for (const name of volumes) if (!mounted.has(name)) faults.push(`volume ${name} is mounted nowhere`)
  for (const container of containersOf(spec))
    for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe]) {
      const port = (probe?.httpGet ?? probe?.tcpSocket)?.port
      if (typeof port === "string" && container.ports?.some(({ name }) => name === port) !== true)
        faults.push(`a probe of ${container.name} asks port ${port}, which it has not`)
    }
  return faults
}

function objectFaults(
  { kind, spec = {} }: KubernetesObject,
  objects: readonly KubernetesObject[],
  secrets: Secrets,
): readonly string[] {
  const pods = podsOf(objects)
  const selectedPods = (wanted: Parameters<typeof selects>[0]): readonly Pod[] =>
    pods.filter(({ template }) => selects(wanted, template.metadata?.labels))
  const hasPort = (found: readonly Pod[], port: unknown): boolean =>
    typeof port !== "string" ||
    found.some(({ template }) =>
      template.spec.containers.some(({ ports = [] }) => ports.some(({ name }) => name === port)),
    )
  switch (kind) {
    case "Deployment":
      return selects(spec.selector?.matchLabels, spec.template?.metadata?.labels) ? [] : ["it does not select its pods"]
    case "PodDisruptionBudget":
      return selectedPods(spec.selector?.matchLabels).length > 0 ? [] : ["it selects no pods"]
    case "NetworkPolicy":
      return selectedPods(spec.podSelector?.matchLabels).length === pods.length ? [] : ["it does not select all pods"]
    case "PersistentVolumeClaim": {
      const volume = objects.find(
        (object) => object.kind === "PersistentVolume" && object.metadata.name === spec.volumeName,
      )
      return volume === undefined ? [`there is no PersistentVolume ${spec.volumeName ?? "for it"}`] : []
    }
    case "Service": {
      const found = selectedPods(spec.selector)
      if (found.length === 0) return ["it selects no pods"]
      return (spec.ports ?? [])
        .filter(({ targetPort }) => !hasPort(found, targetPort))
        .map(({ targetPort }) => `its pods have no port ${String(targetPort)}`)
    }
    case "ServiceMonitor": {
      const services = objects.filter(
        (object) => object.kind === "Service" && selects(spec.selector?.matchLabels, object.metadata.labels),
      )
      if (services.length === 0) return ["it selects no Service"]
      const ports = services.flatMap((service) => (service.spec?.ports ?? []).map(({ name }) => name))
      return (spec.endpoints ?? []).flatMap(({ port, authorization }) => [
        ...(ports.includes(port) ? [] : [`no Service of it has a port ${port ?? ""}`]),
        ...missingKey(authorization?.credentials, secrets),
      ])
    }
    default:
      return []
  }
}

function missingKey(secret: SecretKey | undefined, secrets: Secrets): readonly string[] {
  if (secret === undefined || secrets[secret.name]?.includes(secret.key) === true) return []
  return [`Secret ${secret.name} has no ${secret.key}`]
}
