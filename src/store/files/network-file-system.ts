import { readFileSync, statSync } from "node:fs"
import { KeyferryError } from "../../core/base/error.js"

/** A mount, as a line of /proc/self/mountinfo has it (proc_pid_mountinfo(5)). */
interface Mount {
  readonly point: string
  readonly type: string
  /** Of the mount and of the file system. */
  readonly options: readonly string[]
}

/** Options with which a network's file system keeps flock to this host, so that another host does not see it. */
const LOCAL_LOCKS: Readonly<Record<string, readonly string[]>> = {
  nfs: ["nolock", "local_lock=flock", "local_lock=all"],
  nfs4: ["nolock", "local_lock=flock", "local_lock=all"],
  cifs: ["nobrl"],
  smb3: ["nobrl"],
  lustre: ["localflock", "noflock"],
}

const NETWORK = /^(nfs4?|cifs|smb3|9p|ceph|lustre|afs|fuse\..*|fuse|virtiofs|glusterfs)$/

/**
 * Refuses a state directory whose file system is shared between hosts and whose locks are not.
 *
 * @throws ERR_STATE_LOCK_UNUSABLE
 */
export function refuseLocalLocks(stateDir: string): void {
  const mount = mountOf(stateDir)
  const option = mount === null ? undefined : localLockOption(mount)
  if (mount === null || option === undefined) return
  throw new KeyferryError(
    "ERR_STATE_LOCK_UNUSABLE",
    `${stateDir} is on ${mount.type} mounted with ${option}: another host would not see its lock`,
    { hint: `mount ${mount.point} without ${option}, or put the state directory on a file system of this host` },
  )
}

/** The kind of a file system whose locks are as good as its server, for `doctor` to say; null for one of this host. */
export function networkFileSystem(stateDir: string): string | null {
  const type = mountOf(stateDir)?.type ?? ""
  return NETWORK.test(type) ? type : null
}

/** The mount that a folder is on; null where the system does not tell. */
function mountOf(folder: string): Mount | null {
  try {
    const { dev } = statSync(folder)
    return parseMount(readFileSync("/proc/self/mountinfo", "utf8"), deviceName(dev))
  } catch {
    return null
  }
}

/** `major:minor` of st_dev, as gnu_dev_major(3) and gnu_dev_minor(3) take it apart. */
function deviceName(device: number): string {
  const bits = BigInt(device)
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & ~0xfffn)
  const minor = (bits & 0xffn) | ((bits >> 12n) & ~0xffn)
  return `${major}:${minor}`
}

/** The last mount of a device, of mountinfo's lines `36 35 98:0 /root /point rw,… - type source rw,…`. */
export function parseMount(mountinfo: string, device: string): Mount | null {
  const line = mountinfo.split("\n").findLast((text) => text.split(" ")[2] === device)
  const [mount = "", fileSystem = ""] = line?.split(" - ") ?? []
  const [, , , , point, options = ""] = mount.split(" ")
  const [type, , superOptions = ""] = fileSystem.split(" ")
  if (point === undefined || type === undefined || type === "") return null
  return { point, type, options: [...options.split(","), ...superOptions.split(",")] }
}

/** The mount option by which locks stay on this host; undefined where there is none. */
export function localLockOption({ type, options }: Mount): string | undefined {
  const local = Object.hasOwn(LOCAL_LOCKS, type) ? (LOCAL_LOCKS[type] ?? []) : []
  return local.find((option) => options.includes(option))
}
