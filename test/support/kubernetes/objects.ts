import { parseAllDocuments } from "yaml"

/** Objects of Kubernetes, with those fields that are looked at; their schemas say that they are what they are to be. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels }
  readonly spec?: Spec
  readonly data?: Labels
}

export type Labels = Readonly<Record<string, string>>

export interface Selector {
  readonly matchLabels?: Labels
}

interface Spec {
  readonly replicas?: number
  readonly selector?: Selector & Labels
  readonly podSelector?: Selector
  readonly template?: PodTemplate
  readonly strategy?: { readonly rollingUpdate?: { readonly maxSurge?: unknown; readonly maxUnavailable?: unknown } }
  readonly jobTemplate?: { readonly spec: Spec }
  readonly concurrencyPolicy?: string
  readonly startingDeadlineSeconds?: number
  readonly activeDeadlineSeconds?: number
  readonly backoffLimit?: number
  readonly minAvailable?: unknown
  readonly maxUnavailable?: unknown
  readonly policyTypes?: readonly string[]
  readonly ports?: readonly { readonly name?: string; readonly targetPort?: unknown }[]
  readonly ingress?: readonly { readonly ports?: readonly { readonly port?: unknown }[] }[]
  readonly endpoints?: readonly {
    readonly port?: string
    readonly authorization?: { readonly credentials?: SecretKey }
  }[]
  readonly jobLabel?: string
  readonly volumeName?: string
  readonly provider?: unknown
  readonly parameters?: unknown
}

export interface SecretKey {
  readonly name: string
  readonly key: string
}

export interface PodTemplate {
  readonly metadata?: { readonly labels?: Labels }
  readonly spec: PodSpec
}

export interface PodSpec {
  readonly serviceAccountName?: string
  readonly hostNetwork?: boolean
  readonly hostPID?: boolean
  readonly hostIPC?: boolean
  readonly terminationGracePeriodSeconds?: number
  readonly securityContext?: SecurityContext
  readonly initContainers?: readonly Container[]
  readonly containers: readonly Container[]
  readonly ephemeralContainers?: readonly Container[]
  readonly volumes?: readonly Volume[]
  readonly topologySpreadConstraints?: readonly { readonly labelSelector?: Selector }[]
}

export interface SecurityContext {
  readonly privileged?: boolean
  readonly allowPrivilegeEscalation?: boolean
  readonly readOnlyRootFilesystem?: boolean
  readonly runAsNonRoot?: boolean
  readonly runAsUser?: number
  readonly procMount?: string
  readonly seccompProfile?: { readonly type: string }
  readonly appArmorProfile?: { readonly type: string }
  readonly seLinuxOptions?: { readonly type?: string; readonly user?: string; readonly role?: string }
  readonly windowsOptions?: { readonly hostProcess?: boolean }
  readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] }
  readonly sysctls?: readonly { readonly name: string }[]
}

interface Action {
  readonly httpGet?: { readonly host?: string; readonly port: unknown }
  readonly tcpSocket?: { readonly host?: string; readonly port: unknown }
  readonly exec?: { readonly command: readonly string[] }
}

export interface Container {
  readonly name: string
  readonly image?: string
  readonly args?: readonly string[]
  readonly env?: readonly {
    readonly name: string
    readonly value?: string
    readonly valueFrom?: { readonly configMapKeyRef?: SecretKey; readonly secretKeyRef?: SecretKey }
  }[]
  readonly envFrom?: readonly unknown[]
  readonly ports?: readonly { readonly name?: string; readonly hostPort?: number }[]
  readonly securityContext?: SecurityContext
  readonly resources?: { readonly limits?: Labels; readonly requests?: Labels }
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[]
  readonly startupProbe?: Action
  readonly livenessProbe?: Action
  readonly readinessProbe?: Action
  readonly lifecycle?: { readonly postStart?: Action; readonly preStop?: Action }
}

interface KeyItem {
  readonly key: string
}

export interface Volume {
  readonly name: string
  readonly configMap?: { readonly name: string; readonly items?: readonly KeyItem[] }
  readonly secret?: { readonly secretName: string; readonly items?: readonly KeyItem[] }
  readonly persistentVolumeClaim?: { readonly claimName: string; readonly readOnly?: boolean }
  readonly csi?: { readonly driver: string; readonly volumeAttributes?: Labels }
}

/** A pod that an object of a rendering asks for. */
export interface Pod {
  /** Such as `Deployment/keyferry`. */
  readonly of: string
  readonly template: PodTemplate
}

/** @throws where the text is no YAML */
export function objectsOf(text: string): readonly KubernetesObject[] {
  return parseAllDocuments(text).map((document) => {
    const [error] = document.errors
    if (error !== undefined) throw error
    return document.toJS() as KubernetesObject
  })
}

export const nameOf = ({ kind, metadata }: KubernetesObject): string => `${kind}/${metadata.name}`

export function podsOf(objects: readonly KubernetesObject[]): readonly Pod[] {
  return objects.flatMap((object) => {
    const template = object.spec?.jobTemplate?.spec.template ?? object.spec?.template
    return template === undefined ? [] : [{ of: nameOf(object), template }]
  })
}

export const containersOf = ({ initContainers = [], containers, ephemeralContainers = [] }: PodSpec) => [
  ...initContainers,
  ...containers,
  ...ephemeralContainers,
]

/** Whether labels have all that a selector of `matchLabels` asks for; an empty one is taken for a slip. */
export function selects(wanted: Labels | undefined, labels: Labels | undefined): boolean {
  const pairs = Object.entries(wanted ?? {})
  return pairs.length > 0 && pairs.every(([name, value]) => labels?.[name] === value)
}
