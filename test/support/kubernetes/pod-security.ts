import { type Container, containersOf, type PodSpec, type SecurityContext } from "./objects.js"

/** Volumes of profile restricted; `name` is that of the volume. */
const VOLUMES: readonly string[] = [
  "name",
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "persistentVolumeClaim",
  "projected",
  "secret",
]
const SECCOMP: readonly (string | undefined)[] = ["RuntimeDefault", "Localhost"]
const SELINUX_TYPES: readonly string[] = ["container_t", "container_init_t", "container_kvm_t", "container_engine_t"]
const SYSCTLS: readonly string[] = [
  "kernel.shm_rmid_forced",
  "net.ipv4.ip_local_port_range",
  "net.ipv4.ip_local_reserved_ports",
  "net.ipv4.ip_unprivileged_port_start",
  "net.ipv4.ping_group_range",
  "net.ipv4.tcp_fin_timeout",
  "net.ipv4.tcp_keepalive_intvl",
  "net.ipv4.tcp_keepalive_probes",
  "net.ipv4.tcp_keepalive_time",
  "net.ipv4.tcp_rmem",
  "net.ipv4.tcp_syncookies",
  "net.ipv4.tcp_wmem",
]

/**
 * What the Pod Security Standards' profile `restricted` (Kubernetes 1.34, of a pod of Linux) has against a pod, by the rules as the
 * documentation of Kubernetes lists them; those of `baseline` are among them.
 */
export function podSecurityFaults(pod: PodSpec): readonly string[] {
  const { securityContext: ofPod = {}, volumes = [] } = pod
  const faults: string[] = []
  for (const name of ["hostNetwork", "hostPID", "hostIPC"] as const)
    if (pod[name] === true) faults.push(`${name} is true`)
  for (const volume of volumes) {
    const kind = Object.keys(volume).find((key) => !VOLUMES.includes(key))
    if (kind !== undefined) faults.push(`volume ${volume.name} is a ${kind}`)
  }
  for (const { name } of ofPod.sysctls ?? []) if (!SYSCTLS.includes(name)) faults.push(`sysctl ${name} is set`)
  faults.push(...sharedFaults("the pod", ofPod))
  for (const container of containersOf(pod)) faults.push(...containerFaults(container, ofPod))
  return faults
}

function containerFaults(container: Container, ofPod: SecurityContext): readonly string[] {
  const { name, securityContext: own = {}, ports = [] } = container
  const faults = [...sharedFaults(name, own)]
  if (own.privileged === true) faults.push(`${name} is privileged`)
  if (own.allowPrivilegeEscalation !== false) faults.push(`${name} may escalate privileges`)
  if (!(own.runAsNonRoot ?? ofPod.runAsNonRoot ?? false)) faults.push(`${name} may run as root`)
  if (!SECCOMP.includes((own.seccompProfile ?? ofPod.seccompProfile)?.type))
    faults.push(`${name} has no seccomp profile`)
  if (own.capabilities?.drop?.includes("ALL") !== true) faults.push(`${name} does not drop all capabilities`)
  for (const added of own.capabilities?.add ?? [])
    if (added !== "NET_BIND_SERVICE") faults.push(`${name} has capability ${added}`)
  if ((own.procMount ?? "Default") !== "Default") faults.push(`${name} has procMount ${own.procMount ?? ""}`)
  for (const { hostPort = 0 } of ports) if (hostPort !== 0) faults.push(`${name} has host port ${hostPort}`)
  const { startupProbe, livenessProbe, readinessProbe, lifecycle } = container
  for (const action of [startupProbe, livenessProbe, readinessProbe, lifecycle?.postStart, lifecycle?.preStop])
    if ((action?.httpGet?.host ?? action?.tcpSocket?.host ?? "") !== "") faults.push(`${name} has another host asked`)
  return faults
}

/** What pods and containers both may not say. */
function sharedFaults(who: string, context: SecurityContext): readonly string[] {
  const { runAsNonRoot, runAsUser, seccompProfile, appArmorProfile, seLinuxOptions = {}, windowsOptions } = context
  const faults: string[] = []
  if (runAsNonRoot === false) faults.push(`${who} says runAsNonRoot: false`)
  if (runAsUser === 0) faults.push(`${who} runs as user 0`)
  if (seccompProfile !== undefined && !SECCOMP.includes(seccompProfile.type)) faults.push(`${who} is not under seccomp`)
  if (appArmorProfile?.type === "Unconfined") faults.push(`${who} is not under AppArmor`)
  if (windowsOptions?.hostProcess === true) faults.push(`${who} is a host process`)
  const { type = "", user = "", role = "" } = seLinuxOptions
  if (user !== "" || role !== "" || (type !== "" && !SELINUX_TYPES.includes(type)))
    faults.push(`${who} has SELinux options`)
  return faults
}
