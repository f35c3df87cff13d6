import { homedir } from "node:os"
import { join, resolve } from "node:path"

/**
 * The state directory: the flag, KEYFERRY_STATE_DIR, systemd's $STATE_DIRECTORY (systemd.exec(5): a list parted by
 * colons, of which the first is taken), or `keyferry` in the XDG state folder (XDG Base Directory Specification 0.8:
 * $XDG_STATE_HOME if absolute, else ~/.local/state).
 */
export function stateDirPath(flag: string | undefined, env: NodeJS.ProcessEnv): string {
  const [ofSystemd] = (env["STATE_DIRECTORY"] ?? "").split(":")
  const named = [flag, env["KEYFERRY_STATE_DIR"], ofSystemd].find((path) => path !== undefined && path !== "")
  if (named !== undefined) return resolve(named)
  const xdg = env["XDG_STATE_HOME"]
  const home = env["HOME"] ?? homedir()
  return join(xdg?.startsWith("/") === true ? xdg : join(home, ".local", "state"), "keyferry")
}
