import { sendDatagram } from "../libc/libc.js"
import type { Env } from "./settings.js"

/** What the service manager is told, in the words of sd_notify(3). */
export interface ServiceManager extends Disposable {
  /** The service has started. */
  ready(): Promise<void>
  /** It is ending. */
  stopping(): Promise<void>
  /** What `systemctl status` shows; one line. */
  status(text: string): Promise<void>
}

/** Tells nobody anything where systemd has not started the process as `Type=notify`, and never fails: it works all the same. */
export function serviceManager(env: Env): ServiceManager {
  const socket = env["NOTIFY_SOCKET"] ?? ""
  const tell = async (text: string): Promise<void> => {
    if (!/^[@/]/.test(socket)) return
    try {
      await sendDatagram(socket, text)
    } catch {
      // systemd stops a service that it does not hear of, and says so
    }
  }
  const pause = watchdogMs(env)
  // from the loop of events, so that a process that hangs is found out
  const timer = pause === null ? undefined : setInterval(() => void tell("WATCHDOG=1"), pause / 2)
  timer?.unref()
  return {
    ready: () => tell("READY=1"),
    stopping: () => tell("STOPPING=1"),
    status: (text) => tell(`STATUS=${text.replaceAll(/\s+/g, " ")}`),
    [Symbol.dispose]: () => clearInterval(timer),
  }
}

/** WatchdogSec of the unit, in ms, where it is meant for this process; null for none. */
function watchdogMs(env: Env): number | null {
  const microseconds = Number(env["WATCHDOG_USEC"])
  const isMeant = env["WATCHDOG_PID"] === undefined || env["WATCHDOG_PID"] === String(process.pid)
  return isMeant && Number.isSafeInteger(microseconds) && microseconds >= 1_000_000 ? microseconds / 1_000 : null
}
