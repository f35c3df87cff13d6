import { exec, type ExecException } from "node:child_process"
import { externalDataInterceptor } from "@smithy/core/config"

type Done = (error: Error | null, output: { readonly stdout: string; readonly stderr: string }) => void

/**
 * Gives every `credential_process` of this process a deadline, in milliseconds, after which it is killed: the SDK itself
 * waits for ever. The SDK runs it by what stands in this record in place of exec.
 */
export function limitCredentialProcess(deadlineMs: number): void {
  const run = (command: string, done: Done): void => {
    exec(command, { timeout: deadlineMs, killSignal: "SIGKILL" }, (error, stdout, stderr) => {
      done(
        isLate(error) ? new Error(`credential_process was killed: it gave nothing within ${deadlineMs} ms`) : error,
        {
          stdout,
          stderr,
        },
      )
    })
  }
  ;(externalDataInterceptor.getTokenRecord() as Record<string, unknown>)["exec"] = run
}

/** One that prints too much is killed as well, and has a code then. */
const isLate = (error: ExecException | null): boolean => error?.killed === true && typeof error.code !== "string"
