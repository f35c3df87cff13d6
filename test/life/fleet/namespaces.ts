import { execFileSync, spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"

const FORWARDER = fileURLToPath(new URL("./forward-process.js", import.meta.url))

/** A host as far as its network goes: it reaches this machine over one link, and nobody else. */
export interface Namespace {
  readonly name: string
  /** What a command starts with to run there. */
  readonly prefix: readonly string[]
  /** Takes its link down: what is on its way is lost, and nobody is told. Or up again. */
  cut(isCut: boolean): void
  /** Has a port of its own loopback lead to one of this machine. */
  forward(port: number, to: number): Promise<void>
}

export interface Namespaces extends AsyncDisposable {
  /** Of this machine, on the bridge that all are on. */
  readonly address: string
  readonly list: readonly Namespace[]
}

/** @throws where this is not root with CAP_NET_ADMIN, or ip(8) of iproute2 is not there */
export function openNamespaces(count: number): Namespaces {
  const bridge = `kf${process.pid}`
  const subnet = `10.213.${(process.pid % 250) + 1}`
  const forwarders: ChildProcess[] = []
  const ip = (words: string): void => void execFileSync("ip", words.split(" "), { stdio: "pipe" })
  const made: string[] = []
  const remove = (): void => {
    for (const words of made.toReversed()) ip(words)
  }
  try {
    ip(`link add ${bridge} type bridge`)
    made.push(`link delete ${bridge}`)
    ip(`addr add ${subnet}.1/24 dev ${bridge}`)
    ip(`link set ${bridge} up`)
    const list = Array.from({ length: count }, (_, index): Namespace => {
      const name = `${bridge}-${index + 1}`
      const prefix = ["ip", "netns", "exec", name]
      ip(`netns add ${name}`)
      made.push(`netns delete ${name}`)
      ip(`link add ${name} type veth peer name eth0 netns ${name}`)
      ip(`link set ${name} master ${bridge} up`)
      for (const words of ["link set lo up", `addr add ${subnet}.${index + 2}/24 dev eth0`, "link set eth0 up"]) {
        ip(`-n ${name} ${words}`)
      }
      return {
        name,
        prefix,
        cut: (isCut) => ip(`link set ${name} ${isCut ? "down" : "up"}`),
        async forward(port, to) {
          const [command, ...args] = [...prefix, process.execPath, FORWARDER, `${port}`, `${subnet}.1`, `${to}`]
          const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] })
          forwarders.push(child)
          await once(child.stdout, "data")
        },
      }
    })
    return {
      address: `${subnet}.1`,
      list,
      async [Symbol.asyncDispose]() {
        for (const child of forwarders) {
          child.kill("SIGKILL")
          if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
        }
        remove()
      },
    }
  } catch (error) {
    remove()
    throw error
  }
}
