import { spawn } from "node:child_process"

/** A hook that hangs is killed: the next notification waits for it. */
const LONGEST_MS = 30_000

/** What a hook may see of the agent's environment: nothing that a PIN or a credential could stand in. */
const PASSED_ON = ["PATH", "HOME", "LANG", "LC_ALL", "TZ"] as const

/**
 * Runs a shell command with the notification on its standard input.
 *
 * @throws an Error where it ends with another status than 0, or not in time
 */
export function runHook(
  command: string,
  body: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const hook = spawn("/bin/sh", ["-c", command], {
      env: Object.fromEntries(PASSED_ON.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]))),
      stdio: ["pipe", "ignore", "ignore"],
      // a group of its own, so that what it has started ends with it
      detached: true,
    })
    const timer = setTimeout(() => {
      if (hook.pid !== undefined) endGroup(hook.pid)
      reject(new Error(`it did not end within ${LONGEST_MS / 1000} s`))
    }, LONGEST_MS)
    hook.once("error", (error) => {
      clearTimeout(timer)
      reject(error)
    })
    hook.once("exit", (status, signal) => {
      clearTimeout(timer)
      if (status === 0) resolve()
      else reject(new Error(signal === null ? `it ended with status ${status ?? ""}` : `it was ended by ${signal}`))
    })
    // one that does not read what it is told is no failure
    hook.stdin.on("error", () => undefined)
    hook.stdin.end(`${body}\n`)
  })
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL")
  } catch {
    // it has ended meanwhile
  }
}
