import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { ROOT } from "../support/docs-blocks.js"
import { type KubernetesObject, objectsOf, podsOf } from "../support/kubernetes/objects.js"
import { podSecurityFaults } from "../support/kubernetes/pod-security.js"
import { referenceFaults, secretsOf } from "../support/kubernetes/references.js"
import { runningFaults } from "../support/kubernetes/running.js"
import { secretProviderClassFaults } from "../support/kubernetes/secret-provider-class.js"

const FOLDER = join(ROOT, "deploy/kubernetes")
const read = (path: string): string => readFileSync(join(FOLDER, path), "utf8")
const secrets = secretsOf(read("README.md"))

/** Objects of some folders, such as kustomize makes of them where nothing is patched: with a namespace, and the generated ConfigMap. */
function objects(...folders: readonly string[]): readonly KubernetesObject[] {
  const files = folders.flatMap((folder) => readdirSync(join(FOLDER, folder)).map((name) => join(folder, name)))
  const written = files
    .filter((file) => !/(kustomization|keyferry)\.yaml$/.test(file))
    .flatMap((file) => objectsOf(read(file)))
  const config: KubernetesObject = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "keyferry-config" },
    data: { "keyferry.yaml": "" },
  }
  return [...written, config].map(({ metadata, ...object }) => ({
    ...object,
    metadata: {
      namespace: "keyferry",
      ...metadata,
      labels: { "app.kubernetes.io/name": "keyferry", ...metadata.labels },
    },
  }))
}

const agents = objects("base", "overlays/agents")
const monitored = objects("base", "overlays/agents", "components/monitoring")
const cronjob = objects("base", "overlays/cronjob")
const podFaults = (all: readonly KubernetesObject[]): readonly string[] =>
  podsOf(all).flatMap(({ template }) => podSecurityFaults(template.spec))
const missing = (all: readonly KubernetesObject[]): readonly string[] => referenceFaults(all, secrets)

type Path = string
const shown = (value: unknown): string => (value === undefined ? "left out" : JSON.stringify(value))
const POD = "Deployment.spec.template.spec."
const CONTAINER = `${POD}containers.0.`

/** The objects with one value another one, or gone where it is undefined: the path begins with the kind. */
function spoilt(all: readonly KubernetesObject[], path: Path, value: unknown): readonly KubernetesObject[] {
  const [kind, ...keys] = path.split(".")
  const last = keys.pop() ?? ""
  const changed = structuredClone(all)
  let place = changed.find((object) => object.kind === kind) as unknown as Record<string, unknown>
  for (const key of keys) place = (place[key] ??= {}) as Record<string, unknown>
  if (value === undefined) Reflect.deleteProperty(place, last)
  else place[last] = value
  return changed
}

describe("deploy/kubernetes", () => {
  it("has nothing against itself by the rules that follow", () => {
    for (const all of [agents, monitored, cronjob]) {
      expect(podFaults(all)).to.deep.equal([])
      expect(missing(all)).to.deep.equal([])
      expect(runningFaults(all)).to.deep.equal([])
    }
  })

  describe("pod security 'restricted' refuses", () => {
    const rows: readonly (readonly [Path, unknown, RegExp])[] = [
      [`${POD}hostNetwork`, true, /hostNetwork/],
      [`${POD}hostPID`, true, /hostPID/],
      [`${POD}hostIPC`, true, /hostIPC/],
      [`${POD}volumes.1`, { name: "pin", hostPath: { path: "/opt" } }, /hostPath/],
      [`${POD}securityContext.runAsNonRoot`, false, /root|runAsNonRoot/],
      [`${POD}securityContext.runAsNonRoot`, undefined, /may run as root/],
      [`${POD}securityContext.runAsUser`, 0, /user 0/],
      [`${POD}securityContext.seccompProfile`, undefined, /seccomp/],
      [`${POD}securityContext.seccompProfile.type`, "Unconfined", /seccomp/],
      [`${POD}securityContext.sysctls`, [{ name: "kernel.msgmax", value: "1" }], /sysctl/],
      [`${CONTAINER}securityContext.runAsNonRoot`, false, /root|runAsNonRoot/],
      [`${CONTAINER}securityContext.runAsUser`, 0, /user 0/],
      [`${CONTAINER}securityContext.privileged`, true, /privileged/],
      [`${CONTAINER}securityContext.allowPrivilegeEscalation`, undefined, /escalate/],
      [`${CONTAINER}securityContext.capabilities.drop`, ["NET_RAW"], /capabilities/],
      [`${CONTAINER}securityContext.capabilities.add`, ["SYS_ADMIN"], /SYS_ADMIN/],
      [`${CONTAINER}securityContext.procMount`, "Unmasked", /procMount/],
      [`${CONTAINER}securityContext.appArmorProfile`, { type: "Unconfined" }, /AppArmor/],
      [`${CONTAINER}securityContext.seLinuxOptions`, { role: "sysadm_r" }, /SELinux/],
      [`${CONTAINER}securityContext.windowsOptions`, { hostProcess: true }, /host process/],
      [`${CONTAINER}ports.0.hostPort`, 9464, /host port/],
      [`${CONTAINER}livenessProbe.httpGet.host`, "192.0.2.1", /another host/],
      [`${POD}initContainers`, [{ name: "library" }], /library may escalate/],
    ]
    for (const [path, value, fault] of rows)
      it(`${path} ${shown(value)}`, () => {
        expect(podFaults(spoilt(agents, path, value)).join("\n")).to.match(fault)
      })
  })

  describe("what is named and not there is told:", () => {
    const rows: readonly (readonly [Path, unknown, RegExp])[] = [
      [`${POD}serviceAccountName`, "other", /ServiceAccount other/],
      [`${POD}volumes.0.configMap.name`, "other", /ConfigMap other/],
      [`${POD}volumes.0.configMap.items`, [{ key: "other", path: "other" }], /ConfigMap keyferry-config has no other/],
      [`${POD}volumes.1.secret.secretName`, "other", /Secret other/],
      [`${POD}volumes.1.secret.items.0.key`, "other", /Secret keyferry-pin has no other/],
      [`${POD}volumes.1`, { name: "pin", persistentVolumeClaim: { claimName: "other" } }, /claim other/],
      [`${POD}volumes.1`, { name: "pin", csi: { driver: "secrets-store.csi.k8s.io" } }, /SecretProviderClass/],
      [`${POD}volumes.1.name`, "other", /no volume pin[^]*other is mounted nowhere/],
      [`${CONTAINER}env.0`, { name: "A", valueFrom: { secretKeyRef: { name: "other", key: "a" } } }, /Secret other/],
      [
        `${CONTAINER}env.0`,
        { name: "A", valueFrom: { configMapKeyRef: { name: "other", key: "a" } } },
        /ConfigMap other/,
      ],
      [`${CONTAINER}livenessProbe.httpGet.port`, "other", /port other/],
      [`${POD}topologySpreadConstraints.0.labelSelector.matchLabels`, { a: "b" }, /topology spread/],
      ["Deployment.spec.selector.matchLabels", { a: "b" }, /does not select its pods/],
      ["PodDisruptionBudget.spec.selector.matchLabels", { a: "b" }, /selects no pods/],
      ["NetworkPolicy.spec.podSelector.matchLabels", { a: "b" }, /does not select all pods/],
      ["Service.spec.selector", { a: "b" }, /selects no pods/],
      ["Service.spec.ports.0.targetPort", "other", /no port other/],
      ["ServiceMonitor.spec.selector.matchLabels", { a: "b" }, /selects no Service/],
      ["ServiceMonitor.spec.endpoints.0.port", "other", /has a port other/],
      ["ServiceMonitor.spec.endpoints.0.authorization.credentials.key", "other", /keyferry-metrics has no other/],
    ]
    for (const [path, value, fault] of rows)
      it(path, () => {
        expect(missing(spoilt(monitored, path, value)).join("\n")).to.match(fault)
      })

    it("a claim whose volume is not there", () => {
      const claimed = objects("base", "overlays/agents", "components/library-volume")
      expect(missing(claimed)).to.deep.equal([])
      expect(missing(spoilt(claimed, "PersistentVolumeClaim.spec.volumeName", "other")).join()).to.match(/other/)
    })
  })

  describe("how it runs is held to rules:", () => {
    const rows: readonly (readonly [readonly KubernetesObject[], Path, unknown, RegExp])[] = [
      [cronjob, "CronJob.spec.concurrencyPolicy", "Replace", /two rounds/],
      [cronjob, "CronJob.spec.concurrencyPolicy", undefined, /two rounds/],
      [cronjob, "CronJob.spec.startingDeadlineSeconds", undefined, /startingDeadlineSeconds/],
      [cronjob, "CronJob.spec.jobTemplate.spec.activeDeadlineSeconds", undefined, /activeDeadlineSeconds/],
      [cronjob, "CronJob.spec.jobTemplate.spec.backoffLimit", undefined, /backoffLimit/],
      [cronjob, "CronJob.spec.jobTemplate.spec.template.spec.containers.0.args", ["agent"], /does not end/],
      [agents, "Deployment.spec.replicas", 1, /one agent alone/],
      [agents, "Deployment.spec.strategy.rollingUpdate.maxUnavailable", "50%", /more than one/],
      [agents, "PodDisruptionBudget.spec.selector.matchLabels", { a: "b" }, /no disruption budget/],
      [agents, "PodDisruptionBudget.spec.maxUnavailable", 2, /more than one agent/],
      [agents, "NetworkPolicy.spec.policyTypes", ["Ingress"], /both directions/],
      [agents, "Namespace.metadata.labels", {}, /restricted/],
      [agents, "Service.metadata.namespace", undefined, /in no namespace/],
      [agents, `${POD}terminationGracePeriodSeconds`, 10, /killed/],
      [agents, `${CONTAINER}securityContext.readOnlyRootFilesystem`, false, /write its root/],
      [agents, `${CONTAINER}env`, [], /image's state directory/],
      [agents, `${CONTAINER}resources.limits`, undefined, /limit of memory/],
      [agents, `${CONTAINER}volumeMounts.0.readOnly`, undefined, /can be written/],
      [agents, `${POD}volumes.0`, { name: "hsm", persistentVolumeClaim: { claimName: "a" } }, /not read-only/],
    ]
    for (const [all, path, value, fault] of rows)
      it(`${path} ${shown(value)}`, () => {
        expect(runningFaults(spoilt(all, path, value)).join("\n")).to.match(fault)
      })
  })

  it("holds the SecretProviderClass to its shape", () => {
    const [provider] = objectsOf(read("components/pin-csi/secret-provider-class.yaml"))
    expect(secretProviderClassFaults(provider)).to.deep.equal([])
    expect(secretProviderClassFaults({ ...provider, spec: { ...provider?.spec, providr: "aws" } })).to.have.lengthOf(1)
    expect(secretProviderClassFaults({ ...provider, spec: {} })).to.have.lengthOf(1)
  })
})
