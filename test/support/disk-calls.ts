import { spawnSync } from "node:child_process"
import { readFileSync, rmSync } from "node:fs"
import { dirname } from "node:path"

/** A system call that changes a file or makes it durable, or a request to KMS, in the order in which they ended. */
export interface DiskCall {
  readonly call: "create" | "write" | "fsync" | "rename" | "link" | "unlink" | "mkdir" | "kms"
  /** Path of the file or folder, the old one of a rename or link; the operation of a request. */
  readonly path: string
  /** The new path of a rename or link. */
  readonly to?: string
  /** The beginning of what was written, escaped as C does. */
  readonly text?: string
}

const TRACED = [
  ...["openat", "write", "pwrite64", "writev", "ftruncate", "sendto", "sendmsg"],
  ...["fsync", "fdatasync", "rename", "renameat", "renameat2", "link", "linkat"],
  ...["unlink", "unlinkat", "mkdir", "mkdirat"],
]

/** Linux alone has it, and some containers do not allow it. */
export const CAN_RECORD = spawnSync("strace", ["-qq", "-o", "/dev/null", "true"]).status === 0

/** Words before a command that record its calls, with those of its threads, in a file (strace(1)). */
export const recorder = (file: string): readonly string[] => [
  ...["strace", "-f", "-y", "-qq", "--seccomp-bpf", "-s", "4000", "-e", `trace=${TRACED.join(",")}`, "-o", file],
]

/** Runs a program of node's under the recorder; throws where it fails. */
export function recordedCalls(words: readonly string[], file: string): readonly DiskCall[] {
  const [command = "", ...rest] = [...recorder(file), process.execPath, ...words]
  const { status, stderr } = spawnSync(command, rest, { encoding: "utf8" })
  if (status !== 0) throw new Error(`${words.join(" ")} ended with ${status}: ${stderr}`)
  return readCalls(file)
}

/** What a recorder has written; the file is removed. */
export function readCalls(file: string): readonly DiskCall[] {
  const lines = readFileSync(file, "utf8").split("\n")
  rmSync(file)
  /** Calls that have begun, by thread. */
  const begun = new Map<string, string>()
  return lines.flatMap((line) => {
    const [, thread = "", text = ""] = /^(\d+) +(.*)$/.exec(line) ?? []
    if (text.endsWith("<unfinished ...>")) {
      begun.set(thread, text.slice(0, -"<unfinished ...>".length))
      return []
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(text)
    const call = readCall(resumed === null ? text : `${begun.get(thread) ?? ""}${resumed[1] ?? ""}`)
    return call === null ? [] : [call]
  })
}

/** Null where it failed, or is of no interest. */
function readCall(text: string): DiskCall | null {
  const [, name = "", words = "", answer = ""] = /^(\w+)\((.*)\) += (-?\d+)/.exec(text) ?? []
  if (name === "" || answer.startsWith("-")) return null
  const [first = "", second = ""] = [...words.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, quoted]) => quoted)
  const descriptor = /^\d+<([^>]*)>/.exec(words)?.[1] ?? ""
  if (name === "openat") return words.includes("O_CREAT") ? { call: "create", path: first } : null
  if (name.startsWith("rename")) return { call: "rename", path: first, to: second }
  if (name.startsWith("link")) return { call: "link", path: first, to: second }
  if (name.startsWith("unlink")) return { call: "unlink", path: first }
  if (name.startsWith("mkdir")) return { call: "mkdir", path: first }
  if (name === "fsync" || name === "fdatasync") return { call: "fsync", path: descriptor }
  const operation = /TrentService\.(\w+)/.exec(words)?.[1]
  if (operation !== undefined && !descriptor.startsWith("/")) return { call: "kms", path: operation }
  if (!descriptor.startsWith("/") || name.startsWith("send")) return null
  return { call: "write", path: descriptor, text: first }
}

interface Cut {
  /** The folder whose files must be durable. */
  readonly root: string
  /** Whether a file of it need not be. */
  readonly exempt?: (path: string) => boolean
  /** Whether each name must be durable before the next is made, as where nothing is written at the same time. */
  readonly inOrder?: boolean
}

/**
 * What would not survive a power cut at some moment, in sentences: a file that got its name before its content was
 * durable; and whatever is not durable when a call to KMS begins, when a token object is destroyed, or at the end.
 *
 */
export function lostByPowerCut(
  calls: readonly DiskCall[],
  { root, exempt = () => false, inOrder = false }: Cut,
): readonly string[] {
  const faults: string[] = []
  const contents = new Set<string>()
  /** Names that were made or removed since their folder was made durable. */
  const names = new Set<string>()
  const isOurs = (path: string): boolean => path.startsWith(`${root}/`) && !exempt(path)
  const all = (moment: string): void => {
    for (const path of contents) faults.push(`${moment}: the content of ${path}`)
    for (const path of names) faults.push(`${moment}: the name ${path}`)
  }
  for (const { call, path, to = "" } of calls) {
    if (call === "kms") all(`before ${path}`)
    else if (call === "fsync") {
      contents.delete(path)
      for (const name of names) if (dirname(name) === path) names.delete(name)
    } else if (call === "unlink" && path.endsWith(".object")) all("before an object was destroyed")
    else if (call === "write" && isOurs(path)) contents.add(path)
    else if (call === "rename" || call === "link") {
      if (!isOurs(to)) continue
      if (contents.has(path)) faults.push(`${call} before fsync: ${to}`)
      if (inOrder) for (const name of names) if (name !== path) faults.push(`${call} to ${to} before the name ${name}`)
      names.add(to)
      if (call === "rename") names.delete(path)
    } else if (call === "unlink" && isOurs(path)) {
      contents.delete(path)
      // a name that never became durable leaves nothing to be made durable
      if (names.has(path)) names.delete(path)
      else names.add(path)
    } else if ((call === "create" || call === "mkdir") && isOurs(path)) {
      names.add(path)
      // it may be filled by a copy within the kernel
      if (call === "create") contents.add(path)
    }
  }
  all("at the end")
  return faults
}
